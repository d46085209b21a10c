"""The DICOM JSON model (PS3.18 Annex F) of a header.

Values that stayed in the file become `{"vr": …, "BulkDataURI": "bulkdata/<n>"}`, n counting from 0
in the list of spans the caller keeps: whoever serves the JSON puts the address before it.
"""

import math
from base64 import b64encode
from collections.abc import Callable, Iterable
from struct import unpack
from typing import Any

import orjson

from kit.dicom.characters import Text
from kit.dicom.dictionary import is_us_or_ss, vr_of
from kit.dicom.elements import FRAGMENTS, PIXEL_TAGS, Element, Span
from kit.dicom.errors import BrokenDicom

MAX_JSON = 64 * 1024 * 1024
"""Bytes of a header."""
BULK = b'"BulkDataURI":"bulkdata/'
"""What stands in the bytes where an address is to be put before `bulkdata/`; it can't occur in a value,
where quotes are escaped."""
_CHARSET, _PIXEL_SIGN = 0x00080005, 0x00280103
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def _plain(data: bytes) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        return data.decode("latin_1")


def _strings(data: bytes, _: Text) -> list[Any]:
    text = _plain(data).strip(" \0")
    if "\\" not in text:
        return [text] if text else []
    return [part.strip(" \0") or None for part in text.split("\\")]


def _texts(data: bytes, text: Text) -> list[Any]:
    value = text.decode(data).strip(" \0")
    if "\\" not in value:
        return [value] if value else []
    return [part.strip(" \0") or None for part in value.split("\\")]


def _long_text(data: bytes, text: Text) -> list[Any]:
    value = text.decode(data).rstrip(" \0")
    return [value] if value else []


def _uri(data: bytes, _: Text) -> list[Any]:
    value = _plain(data).rstrip(" \0")
    return [value] if value else []


def person_name(value: str) -> dict[str, str] | None:
    groups = value.split("=")
    return {
        label: cleaned
        for label, group in zip(_GROUPS, groups, strict=False)
        if (cleaned := group.strip(" \0").rstrip("^"))
    } or None


def _names(data: bytes, text: Text) -> list[Any]:
    value = text.decode(data).strip(" \0")
    if not value:
        return []
    names = [person_name(part) for part in value.split("\\")]
    return names if any(names) else []


def _number(text: str) -> float | str | None:
    """A DS as a number; as it stands where it is none (PS3.18 F.2.3 allows a string)."""
    text = text.strip(" \0")
    try:
        value = float(text)
    except ValueError:
        return text or None
    return value if math.isfinite(value) else text


def _decimals(data: bytes, _: Text) -> list[Any]:
    text = _plain(data).strip(" \0")
    return [_number(part) for part in text.split("\\")] if text else []


def _integer(text: str) -> int | str | None:
    text = text.strip(" \0")
    try:
        value = int(text)
    except ValueError:
        return text or None
    return value if -(2**53) < value < 2**53 else text


def _integers(data: bytes, _: Text) -> list[Any]:
    text = _plain(data).strip(" \0")
    return [_integer(part) for part in text.split("\\")] if text else []


def _tags(data: bytes, _: Text) -> list[Any]:
    words = unpack(f"<{len(data) // 2}H", data[: len(data) // 2 * 2])
    return [f"{group:04X}{number:04X}" for group, number in zip(words[::2], words[1::2], strict=False)]


def _packed(code: str, size: int) -> Callable[[bytes, Text], list[Any]]:
    def numbers(data: bytes, _: Text) -> list[Any]:
        count = len(data) // size
        return list(unpack(f"<{count}{code}", data[: count * size]))

    return numbers


def _packed_floats(code: str, size: int) -> Callable[[bytes, Text], list[Any]]:
    """NaN and the infinities have no JSON number: they are written as strings."""
    numbers = _packed(code, size)

    def floats(data: bytes, text: Text) -> list[Any]:
        return [value if math.isfinite(value) else str(value) for value in numbers(data, text)]

    return floats


_signed = _packed("h", 2)
_CONVERT: dict[str, Callable[[bytes, Text], list[Any]]] = {
    **dict.fromkeys(("AE", "AS", "CS", "DA", "DT", "TM", "UI"), _strings),
    **dict.fromkeys(("LO", "SH", "UC"), _texts),
    **dict.fromkeys(("LT", "ST", "UT"), _long_text),
    "UR": _uri,
    "PN": _names,
    "DS": _decimals,
    "IS": _integers,
    "AT": _tags,
    "US": _packed("H", 2),
    "SS": _signed,
    "UL": _packed("I", 4),
    "SL": _packed("i", 4),
    "UV": _packed("Q", 8),
    "SV": _packed("q", 8),
    "FL": _packed_floats("f", 4),
    "FD": _packed_floats("d", 8),
}

_keys: dict[int, str] = {}


def key_of(tag: int) -> str:
    key = _keys.get(tag)
    if key is None:
        key = f"{tag:08X}"
        if len(_keys) < 50_000:
            _keys[tag] = key
    return key


class HeaderJson:
    """Turns elements into the JSON model. `bulk` collects the spans left in the file."""

    def __init__(self, *, explicit: bool) -> None:
        self.bulk: list[Span] = []
        self.troubles: set[str] = set()
        self._explicit = explicit
        self._arena = bytearray()
        self._texts: dict[tuple[str, ...], Text] = {}
        self._around: list[Element] | None = None
        self._looked = 0
        self._terms: tuple[str, ...] = ()
        self._signed = False

    def dataset(
        self, elements: Iterable[Element], around: Text | None = None, signed: bool = False
    ) -> dict[str, Any]:
        """`around` and `signed` (pixel representation) are those of the data set around an item."""
        text = around or self.text(())
        out: dict[str, Any] = {}
        keys, convert_by = _keys, _CONVERT
        explicit = self._explicit
        for tag, vr, _, start, stop, value in elements:
            if value is None or value is FRAGMENTS:
                if around is None and tag in PIXEL_TAGS:
                    continue
                self.bulk.append(Span(start, stop - start))
                out[key_of(tag)] = {"vr": vr, "BulkDataURI": f"bulkdata/{len(self.bulk) - 1}"}
                continue
            if not tag & 0xFFFF:
                continue  # group lengths are no part of the model (PS3.18 F.2.2)
            if vr == "UN" and vr_of(tag) not in ("SQ", "UN"):
                vr = vr_of(tag)
            key = keys.get(tag) or key_of(tag)
            convert = convert_by.get(vr)
            if convert is not None:
                if not explicit and signed and vr == "US" and is_us_or_ss(tag):
                    vr, convert = "SS", _signed
                content = convert(value, text)
                if tag == _CHARSET:
                    text = self.text(tuple(part or "" for part in content))
                    content = ["ISO_IR 192"] if content else content
                elif tag == _PIXEL_SIGN:
                    signed = content == [1]
                out[key] = {"vr": vr, "Value": content} if content else {"vr": vr}
            elif vr == "SQ":
                out[key] = self._sequence(value, text, signed)
            else:
                out[key] = {"vr": vr, "InlineBinary": b64encode(value).decode()} if value else {"vr": vr}
        return out

    def _sequence(self, items: list[Any], text: Text, signed: bool) -> dict[str, Any]:
        if not items:
            return {"vr": "SQ"}
        if isinstance(items[0], int):
            start, end = items
            return {"vr": "SQ", "Value": orjson.Fragment(b"[" + self._arena[start : end - 1] + b"]")}
        return {"vr": "SQ", "Value": [self.dataset(item, text, signed) for item in items]}

    def item(self, elements: list[Element], before: list[Element], items: list[Any]) -> None:
        """One item of an outermost sequence, serialised at once so that long sequences stay small:
        `items` becomes where they begin and end. `before` is what was read of the data set around."""
        self._look_around(before)
        if not items:
            items += (len(self._arena), 0)
        self._arena += self.dumps(self.dataset(elements, self.text(self._terms), self._signed))
        self._arena += b","
        items[1] = len(self._arena)

    def _look_around(self, before: list[Element]) -> None:
        """Character set and pixel sign of the data set around, every element of it looked at once."""
        if before is not self._around:
            self._around, self._looked, self._terms, self._signed = before, 0, (), False
        for place in range(self._looked, len(before)):
            tag, value = before[place][0], before[place][5]
            if tag == _CHARSET and value:
                self._terms = tuple(_plain(value).strip(" \0").split("\\"))
            elif tag == _PIXEL_SIGN and value:
                self._signed = value[:2] == b"\1\0"
        self._looked = len(before)

    def dumps(self, content: dict[str, Any]) -> bytes:
        data = orjson.dumps(content)
        if len(self._arena) + len(data) > MAX_JSON:
            raise BrokenDicom("too-many-elements", "The file's header is beyond all sensible size.")
        return data

    def text(self, terms: tuple[str, ...]) -> Text:
        known = self._texts.get(terms)
        if known is None:
            known = self._texts[terms] = Text(terms, self.troubles)
        return known
