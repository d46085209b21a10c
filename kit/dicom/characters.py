"""Specific Character Set (0008,0005): bytes to text and back, PS3.5 6.1 and PS3.3 C.12.1.1.2."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

_CODECS = {
    "": "ascii",
    "ISO_IR 6": "ascii",
    "ISO_IR 100": "latin_1",
    "ISO_IR 101": "iso8859_2",
    "ISO_IR 109": "iso8859_3",
    "ISO_IR 110": "iso8859_4",
    "ISO_IR 144": "iso8859_5",
    "ISO_IR 127": "iso8859_6",
    "ISO_IR 126": "iso8859_7",
    "ISO_IR 138": "iso8859_8",
    "ISO_IR 148": "iso8859_9",
    "ISO_IR 203": "iso8859_15",
    "ISO_IR 166": "iso8859_11",
    "ISO_IR 13": "shift_jis",
    "ISO_IR 192": "utf_8",
    "GB18030": "gb18030",
    "GBK": "gbk",
    "ISO 2022 IR 87": "iso2022_jp",
    "ISO 2022 IR 159": "iso2022_jp_2",
    "ISO 2022 IR 149": "euc_kr",
    "ISO 2022 IR 58": "gb2312",
}

_G1_ESCAPES = {
    b"-A": "latin_1",
    b"-B": "iso8859_2",
    b"-C": "iso8859_3",
    b"-D": "iso8859_4",
    b"-L": "iso8859_5",
    b"-G": "iso8859_6",
    b"-F": "iso8859_7",
    b"-H": "iso8859_8",
    b"-M": "iso8859_9",
    b"-b": "iso8859_15",
    b"-T": "iso8859_11",
    b")I": "shift_jis",
    b"$)C": "euc_kr",
    b"$)A": "gb2312",
}
_G0_SINGLE = (b"(B", b"(J")
_G0_DOUBLE = (b"$B", b"$(D")
_ESCAPE = re.compile(rb"\x1b(\$\(D|\$\)[AC]|\$B|\([BJ]|\)I|-[A-HLMTb])")
_RUNS = re.compile(rb"[\x80-\xff]+|[\x00-\x7f]+")


def codec_of(term: str) -> str | None:
    """Python codec of a defined term; the customary misspellings are understood too. None: unknown."""
    term = term.strip(" \0").upper().replace("_IR_", "_IR ")
    if term in _CODECS:
        return _CODECS[term]
    squeezed = term.replace(" ", "").replace("_", "").replace("-", "")
    match = re.fullmatch(r"ISO(?:2022)?IR(\d+)", squeezed)
    if match:
        number = match.group(1)
        return _CODECS.get(f"ISO_IR {number}") or _CODECS.get(f"ISO 2022 IR {number}")
    return {"UTF8": "utf_8", "ISO88591": "latin_1", "ISO10646": "utf_8"}.get(squeezed)


@dataclass
class Text:
    """Decodes the text of one data set or item. `troubles` collects finding codes met on the way."""

    terms: tuple[str, ...] = ()
    troubles: set[str] = field(default_factory=set)
    codec: str = "ascii"
    escapes: bool = False
    decode: Callable[[bytes], str] = field(init=False)

    def __post_init__(self) -> None:
        codecs = [codec_of(term) for term in self.terms] or ["ascii"]
        if None in codecs:
            self.troubles.add("charset-unknown")
        self.codec = codecs[0] or "ascii"
        self.escapes = len(codecs) > 1 or self.codec.startswith("iso2022")
        if self.escapes and self.codec.startswith("iso2022"):
            self.codec = "ascii"
        self.decode = self._with_escapes if self.escapes else self._plain

    def _plain(self, data: bytes) -> str:
        try:
            return data.decode(self.codec)
        except UnicodeDecodeError:
            return self._guess(data)

    def _guess(self, data: bytes) -> str:
        """Bytes outside the declared repertoire: UTF-8 where they are that, else Latin-1 or marks."""
        self.troubles.add("charset-missing" if self.codec == "ascii" else "charset-broken")
        try:
            return data.decode("utf_8")
        except UnicodeDecodeError:
            return data.decode("latin_1") if self.codec == "ascii" else data.decode(self.codec, "replace")

    def _with_escapes(self, data: bytes) -> str:
        """ISO 2022 code extension, PS3.5 6.1.2.5. Writers that forget to escape again after a delimiter
        are understood: the set in use stays until the next escape."""
        if b"\x1b" not in data:
            return self._plain(data)
        pieces = _ESCAPE.split(data)
        out = [self._plain(pieces[0])] if pieces[0] else []
        double, single = b"", self.codec
        for escape, run in zip(pieces[1::2], pieces[2::2], strict=True):
            if escape in _G0_DOUBLE:
                double = escape
            elif escape in _G0_SINGLE:
                double = b""
            else:
                single = _G1_ESCAPES.get(escape, single)
            out.append(self._run(run, double, single))
        return "".join(out)

    def _run(self, run: bytes, double: bytes, single: str) -> str:
        if not double:
            return self._single(run, single)
        text = []
        for part in _RUNS.findall(run):
            if part[0] >= 0x80:
                text.append(self._single(part, single))
                continue
            try:
                text.append((b"\x1b" + double + part).decode("iso2022_jp_2"))
            except UnicodeDecodeError:
                self.troubles.add("charset-broken")
                text.append(part.decode("ascii", "replace"))
        return "".join(text)

    def _single(self, run: bytes, codec: str) -> str:
        try:
            return run.decode(codec)
        except UnicodeDecodeError:
            self.troubles.add("charset-broken")
            return run.decode(codec, "replace")

    def can_encode(self, text: str) -> bool:
        """Whether encode() keeps the text; never by escape sequences, which we do not write."""
        if text.isascii():
            return True
        if self.escapes or self.codec == "ascii":
            return False
        try:
            encoded = text.encode(self.codec)
        except UnicodeEncodeError:
            return False
        return self.codec != "shift_jis" or len(encoded) == len(text)

    def encode(self, text: str) -> bytes:
        """Raises UnicodeEncodeError where can_encode() says no."""
        return text.encode("ascii" if self.escapes else self.codec)


def split_values(text: str) -> list[str]:
    return text.split("\\")
