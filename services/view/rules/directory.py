"""Writing a DICOMDIR (PS3.3 F, PS3.10 8): one study, its series and its instances. Pure.

Records have a fixed length once their keys are known, so every offset is known before a byte is written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from struct import pack
from typing import Any

_CLASS, _SYNTAX = "1.2.840.10008.1.3.10", "1.2.840.10008.1.2.1"
_IMPLEMENTATION = "2.25.80302813137786398554742050926734630921"
_LONG = frozenset({"OB", "SQ", "UT"})
_KINDS = (
    ("1.2.840.10008.5.1.4.1.1.88.59", "KEY OBJECT DOC"),
    ("1.2.840.10008.5.1.4.1.1.88.", "SR DOCUMENT"),
    ("1.2.840.10008.5.1.4.1.1.11.", "PRESENTATION"),
    ("1.2.840.10008.5.1.4.1.1.104.", "ENCAP DOC"),
    ("1.2.840.10008.5.1.4.1.1.9.", "WAVEFORM"),
    ("1.2.840.10008.5.1.4.1.1.481.3", "RT STRUCTURE SET"),
    ("1.2.840.10008.5.1.4.1.1.481.5", "RT PLAN"),
    ("1.2.840.10008.5.1.4.1.1.481.2", "RT DOSE"),
    ("1.2.840.10008.5.1.4.1.1.66.4", "IMAGE"),
    ("1.2.840.10008.5.1.4.1.1.66", "REGISTRATION"),
)


@dataclass
class Record:
    """One entry, with those below it."""

    kind: str
    keys: Mapping[int, tuple[str, str]]
    file: tuple[str, ...] = ()
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    transfer_syntax: str = ""
    below: list["Record"] = field(default_factory=list)


def record_kind(sop_class_uid: str) -> str:
    return next((kind for start, kind in _KINDS if sop_class_uid.startswith(start)), "IMAGE")


def keys_of(header: Mapping[str, Any], wanted: Iterable[tuple[int, str]]) -> dict[int, tuple[str, str]]:
    """Attributes of a header in the JSON model as (VR, text)."""
    return {tag: (vr, _text(header.get(f"{tag:08X}", {}))) for tag, vr in wanted}


PATIENT = ((0x00100010, "PN"), (0x00100020, "LO"), (0x00100030, "DA"), (0x00100040, "CS"))
STUDY = (
    (0x00080020, "DA"),
    (0x00080030, "TM"),
    (0x00080050, "SH"),
    (0x00081030, "LO"),
    (0x0020000D, "UI"),
    (0x00200010, "SH"),
)
SERIES = ((0x00080060, "CS"), (0x0008103E, "LO"), (0x0020000E, "UI"), (0x00200011, "IS"))
INSTANCE = ((0x00200013, "IS"),)


def write_directory(root: Record, uid: str) -> bytes:
    """The whole file, for one patient's record and all below it."""
    meta = b"".join(
        (
            _element(0x00020001, "OB", b"\0\1"),
            _element(0x00020002, "UI", _uid(_CLASS)),
            _element(0x00020003, "UI", _uid(uid)),
            _element(0x00020010, "UI", _uid(_SYNTAX)),
            _element(0x00020012, "UI", _uid(_IMPLEMENTATION)),
        )
    )
    head = b"\0" * 128 + b"DICM" + _element(0x00020000, "UL", pack("<I", len(meta))) + meta
    front = _element(0x00041130, "CS", b"ANTEROOM") + _element(0x00041200, "UL", b"\0" * 4) * 2
    front += _element(0x00041212, "US", b"\0\0")
    start = len(head) + len(front) + 12
    places: dict[int, int] = {}
    order = list(_flat(root))
    at = start
    for record in order:
        places[id(record)] = at
        at += 8 + len(_body(record, 0, 0))
    following = _following(root)
    items = []
    for record in order:
        lower = places[id(record.below[0])] if record.below else 0
        after = following.get(id(record))
        body = _body(record, places[id(after)] if after is not None else 0, lower)
        items.append(pack("<HHI", 0xFFFE, 0xE000, len(body)) + body)
    content = b"".join(items)
    first = pack("<I", places[id(root)])
    front = _element(0x00041130, "CS", b"ANTEROOM") + _element(0x00041200, "UL", first)
    front += _element(0x00041202, "UL", first) + _element(0x00041212, "US", b"\0\0")
    return head + front + _element(0x00041220, "SQ", content)


def _flat(record: Record) -> Iterable[Record]:
    yield record
    for lower in record.below:
        yield from _flat(lower)


def _following(root: Record) -> dict[int, Record]:
    """The next record at the same level, by the id of the one before."""
    found: dict[int, Record] = {}
    for record in _flat(root):
        for one, other in zip(record.below, record.below[1:], strict=False):
            found[id(one)] = other
    return found


def _body(record: Record, following: int, lower: int) -> bytes:
    parts = [
        _element(0x00041400, "UL", pack("<I", following)),
        _element(0x00041410, "US", b"\xff\xff"),
        _element(0x00041420, "UL", pack("<I", lower)),
        _element(0x00041430, "CS", _padded(record.kind.encode(), b" ")),
    ]
    if record.file:
        parts += [
            _element(0x00041500, "CS", _padded("\\".join(record.file).encode("ascii"), b" ")),
            _element(0x00041510, "UI", _uid(record.sop_class_uid)),
            _element(0x00041511, "UI", _uid(record.sop_instance_uid)),
            _element(0x00041512, "UI", _uid(record.transfer_syntax)),
        ]
    parts.append(_element(0x00080005, "CS", b"ISO_IR 192"))
    for tag, (vr, text) in sorted(record.keys.items()):
        parts.append(_element(tag, vr, _uid(text) if vr == "UI" else _padded(text.encode(), b" ")))
    return b"".join(parts)


def _element(tag: int, vr: str, value: bytes) -> bytes:
    group, element = tag >> 16, tag & 0xFFFF
    if vr in _LONG:
        return pack("<HH2sHI", group, element, vr.encode(), 0, len(value)) + value
    return pack("<HH2sH", group, element, vr.encode(), len(value)) + value


def _uid(text: str) -> bytes:
    return _padded(text.encode("ascii", "ignore"), b"\0")


def _padded(value: bytes, filler: bytes) -> bytes:
    value = value[:60_000]
    return value + filler if len(value) % 2 else value


def _text(attribute: Mapping[str, Any]) -> str:
    values = attribute.get("Value") or [""]
    first = values[0]
    if isinstance(first, dict):
        return "=".join(
            str(first.get(group, "")) for group in ("Alphabetic", "Ideographic", "Phonetic")
        ).rstrip("=")
    return "" if first is None else str(first)
