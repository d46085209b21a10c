"""The first bytes of a file: is it DICOM, and does its preamble pretend to be something else?

PS3.10 7.1: 128 bytes for any use, then "DICM". A program there makes one file both an image and
an executable (CVE-2019-11687); only the TIFF header of a whole-slide image has a good reason.
"""

from typing import Literal

from kit.dicom.dictionary import VRS

_VRS = frozenset(vr.encode() for vr in VRS)
_PROGRAMS = (
    b"MZ", b"ZM", b"\x7fELF", b"#!", b"%!", b"@echo", b"%PDF", b"PK\x03\x04", b"PK\x05\x06", b"Rar!",
    b"7z\xbc\xaf", b"\x1f\x8b", b"MSCF", b"\xd0\xcf\x11\xe0", b"\0asm", b"dex\n", b"{\\rtf",
    b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe",
    b"\xbe\xba\xfe\xca", b"\xca\xfe\xba\xbf",
)  # fmt: skip
_MARKUP = (b"<html", b"<script", b"<!doctype", b"<svg", b"<?", b"<body", b"<iframe", b"javascript:")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_FIRST_GROUP_8 = frozenset((0, 1, 5, 6, 8, 12, 13, 14, 0x10, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x20))

Syntax = Literal["explicit", "implicit", "big"]


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file that begins so (256 bytes are enough) is worth reading as DICOM."""
    return dataset_start(head) is not None


def dataset_start(head: bytes) -> int | None:
    """Offset of the first element: behind the prefix, or where a preamble or all of it is missing.
    None: no DICOM."""
    if head[128:132] == b"DICM":
        return 132
    if head[:4] == b"DICM":
        return 4
    if head[128:130] == b"\x02\0" and head[131:132] == b"\0" and head[132:134] in _VRS:
        return 128
    group = int.from_bytes(head[:2], "little")
    if group == 2 and head[4:6] in _VRS:
        return 0
    syntax = guess_syntax(head)
    if syntax is None:
        return None
    number = int.from_bytes(head[2:4], "big" if syntax == "big" else "little")
    if syntax == "big":
        group = int.from_bytes(head[:2], "big")
    if group != 8 or number not in _FIRST_GROUP_8:
        return None
    if syntax == "implicit" and int.from_bytes(head[4:8], "little") > 1024:
        return None
    return 0


def guess_syntax(head: bytes) -> Syntax | None:
    """How the data set that begins so is encoded; None where nothing fits."""
    if len(head) < 8:
        return None
    little, big = int.from_bytes(head[:2], "little"), int.from_bytes(head[:2], "big")
    if head[4:6] in _VRS:
        return "explicit" if little <= big else "big"
    length = int.from_bytes(head[4:8], "little")
    if little <= big and (length < 0x100000 or length == 0xFFFFFFFF):
        return "implicit"
    return None


def preamble_kind(preamble: bytes) -> Literal["empty", "program", "tiff", "other"]:
    if not preamble.strip(b"\0"):
        return "empty"
    if preamble.startswith(_TIFF):
        return "tiff"
    lowered = preamble.lower()
    if preamble.startswith(_PROGRAMS) or lowered.startswith(_PROGRAMS):
        return "program"
    return "program" if any(mark in lowered for mark in _MARKUP) else "other"
