"""File meta information (PS3.10 7.1): read tolerantly, written anew where it is wrong."""

from dataclasses import dataclass, field
from struct import pack, unpack_from

from kit.dicom.dictionary import LONG_VRS, VRS
from kit.dicom.errors import BrokenDicom
from kit.dicom.reader import Reader

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
NATIVE = frozenset({IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN})
"""Transfer syntaxes whose pixel data is not encapsulated."""

IMPLEMENTATION_UID = "2.25.148067364026104632826353044268043846417"
IMPLEMENTATION_NAME = "ANTEROOM_1"
_VRS = frozenset(vr.encode() for vr in VRS)
_MAX_META = 256 * 1024


@dataclass
class Meta:
    """Values by element number of group 2; `end` is where the data set begins."""

    values: dict[int, bytes] = field(default_factory=dict)
    end: int = 0
    length_right: bool = False

    def text(self, number: int) -> str:
        return self.values.get(number, b"").decode("latin_1").strip(" \0")

    @property
    def sop_class_uid(self) -> str:
        return self.text(0x02)

    @property
    def sop_instance_uid(self) -> str:
        return self.text(0x03)

    @property
    def transfer_syntax(self) -> str:
        return self.text(0x10)


def read_meta(reader: Reader, start: int, size: int) -> Meta:
    """Group 2 from `start`, whatever its group length claims. Empty where there is none."""
    meta = Meta(end=start)
    pos = start
    claimed = None
    while pos + 8 <= size and pos - start < _MAX_META:
        head = reader.peek(pos, min(12, size - pos))
        if head[:2] != b"\x02\0":
            break
        number = int.from_bytes(head[2:4], "little")
        vr = head[4:6]
        if vr not in _VRS:
            value, length = pos + 8, unpack_from("<I", head, 4)[0]
        elif vr.decode() in LONG_VRS:
            if len(head) < 12:
                break
            value, length = pos + 12, unpack_from("<I", head, 8)[0]
        else:
            value, length = pos + 8, unpack_from("<H", head, 6)[0]
        if value + length > size or length > _MAX_META:
            raise BrokenDicom(
                "meta-broken", "The file's first bytes are damaged: it cannot be read as DICOM."
            )
        if number == 0 and length == 0 and reader.peek(value, min(8, size - value))[4:6] == b"\x02\0":
            length = 4
        content = reader.peek(value, length)
        if number == 0 and length == 4:
            claimed = value + 4 + int.from_bytes(content, "little")
        meta.values[number] = content
        pos = value + length
    meta.end = pos
    meta.length_right = claimed == pos
    return meta


def build_meta(
    sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str, source_ae: bytes = b""
) -> bytes:
    """Preamble of zeros, prefix and group 2, as PS3.10 7.1 asks."""
    body = pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\0\1"
    for number, vr, value in (
        (0x02, b"UI", _even(sop_class_uid.encode("ascii"), b"\0")),
        (0x03, b"UI", _even(sop_instance_uid.encode("ascii"), b"\0")),
        (0x10, b"UI", _even(transfer_syntax.encode("ascii"), b"\0")),
        (0x12, b"UI", _even(IMPLEMENTATION_UID.encode(), b"\0")),
        (0x13, b"SH", _even(IMPLEMENTATION_NAME.encode(), b" ")),
        (0x16, b"AE", _even(source_ae[:16], b" ")),
    ):
        if value:
            body += pack("<HH2sH", 2, number, vr, len(value)) + value
    return b"\0" * 128 + b"DICM" + pack("<HH2sHI", 2, 0, b"UL", 4, len(body)) + body


def _even(value: bytes, fill: bytes) -> bytes:
    return value + fill if len(value) % 2 else value
