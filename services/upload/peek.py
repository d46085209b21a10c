"""A glance at the beginning of a DICOM file for the answer of STOW-RS: which UIDs it claims.

Nothing is decided by it but what the sender is told; validate reads the file for itself. At most
the first 64 KiB are looked at, by bounds that can't be overrun (PS3.10 7.1, PS3.5 7.1).
"""

import re
import struct
from dataclasses import dataclass

HEAD = 64 << 10

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_IMPLICIT = "1.2.840.10008.1.2"
_DEFLATED = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1")
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_SOP_CLASS, _SOP_INSTANCE, _STUDY = (0x0008, 0x0016), (0x0008, 0x0018), (0x0020, 0x000D)
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True)
class Glance:
    """UIDs as the file claims them, empty where the beginning does not tell."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""


def glance(head: bytes) -> Glance | None:
    """None when this is no DICOM file of PS3.10."""
    if head[128:132] != b"DICM":
        return None
    meta, start = _elements(head, 132, explicit=True, group=0x0002)
    syntax = meta.get((0x0002, 0x0010), "")
    claimed = Glance(meta.get((0x0002, 0x0002), ""), meta.get((0x0002, 0x0003), ""))
    if syntax in _DEFLATED or syntax == _BIG_ENDIAN:
        return claimed
    data, _ = _elements(head, start, explicit=syntax != _IMPLICIT, group=None)
    return Glance(
        data.get(_SOP_CLASS, "") or claimed.sop_class_uid,
        data.get(_SOP_INSTANCE, "") or claimed.sop_instance_uid,
        data.get(_STUDY, ""),
    )


def _elements(
    head: bytes, at: int, *, explicit: bool, group: int | None
) -> tuple[dict[tuple[int, int], str], int]:
    """UID values from `at` on, and where the walk stopped: at another group, past the Study
    Instance UID, at an element of undefined length, or at the end."""
    found: dict[tuple[int, int], str] = {}
    while at + 8 <= len(head):
        tag = struct.unpack_from("<HH", head, at)
        if (group is not None and tag[0] != group) or tag > _STUDY:
            break
        if not explicit:
            size, value = struct.unpack_from("<I", head, at + 4)[0], at + 8
        elif head[at + 4 : at + 6] in _LONG:
            if at + 12 > len(head):
                break
            size, value = struct.unpack_from("<I", head, at + 8)[0], at + 12
        else:
            size, value = struct.unpack_from("<H", head, at + 6)[0], at + 8
        if size == _UNDEFINED:
            end = head.find(b"\xfe\xff\xdd\xe0\0\0\0\0", value)
            if end < 0:
                break
            at = end + 8
            continue
        if value + size > len(head):
            break
        if size <= 65:
            text = head[value : value + size].rstrip(b"\0 ").decode("ascii", "replace")
            if len(text) <= 64 and _UID.fullmatch(text):
                found[(tag[0], tag[1])] = text
        at = value + size
    return found, at
