"""Bytes to text by MSH-18 (HL7 2.5.1 table 0211), tolerant of senders that say nothing or wrong."""

import codecs

_CODECS = {
    "ASCII": "ascii",
    "ISO IR6": "ascii",
    "8859/1": "latin-1",
    "ISO IR87": "iso2022_jp",
    "ISO IR159": "iso2022_jp_1",
    "JIS X 0202": "iso2022_jp",
    "ISO IR13": "shift_jis",
    "ISO IR14": "shift_jis",
    "JAS2020": "euc_jp",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "CNS 11643-1992": "euc_tw",
    "BIG-5": "big5",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "UNICODE UTF-16": "utf-8",
    "UNICODE UTF-32": "utf-8",
} | {f"8859/{part}": f"iso8859_{part}" for part in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)}
# A frame that can be read as bytes at all and says UTF-16 or UTF-32 was converted on its way.


def decode(data: bytes) -> str:
    """Text of a message: byte order mark, then MSH-18, then UTF-8, then Latin-1. Never fails."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(name, errors="replace")
    if data.startswith(b"M\0S\0H\0"):
        return data.decode("utf-16-le", errors="replace")
    if data.startswith(b"\0M\0S\0H"):
        return data.decode("utf-16-be", errors="replace")
    for codec in (_named(data), "utf-8"):
        if codec:
            try:
                return data.decode(codec)
            except (UnicodeDecodeError, LookupError):
                continue
    return data.decode("latin-1")


def _named(data: bytes) -> str:
    codecs_named = [_CODECS.get(name, "") for name in declared(data)]
    if b"\x1b" in data:
        # Escape sequences of ISO 2022: the first set is ASCII then, and a later one says which.
        codecs_named.sort(key=lambda codec: not codec.startswith("iso2022"))
    return codecs_named[0] if codecs_named else ""


def declared(data: bytes) -> list[str]:
    """The repetitions of MSH-18 of the first message that say something, in capitals."""
    start = data.find(b"MSH")
    if start < 0 or len(data) < start + 4:
        return []
    separator = data[start + 3 : start + 4]
    header = data[start : start + 4096].replace(b"\n", b"\r").partition(b"\r")[0]
    fields = header.split(separator)
    if len(fields) < 18:
        return []
    names = (part.partition(b"^")[0].strip().upper() for part in fields[17].split(b"~"))
    return [name.decode("ascii", errors="replace") for name in names if name]
