"""Small hostile files take little time: no step's effort grows with the square of what it is given."""

import io
import struct
import time

from kit.dicom.instance import read_instance
from kit.dicom.meta import build_meta

CT = "1.2.840.10008.5.1.4.1.1.2"
UIDS = (
    (0x00080016, CT.encode() + b"\0"),
    (0x00080018, b"1.2.3\0"),
    (0x0020000D, b"1.2.4\0"),
    (0x0020000E, b"1.2.5\0"),
)


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def _file(*parts: bytes) -> bytes:
    return build_meta(CT, "1.2.3", "1.2.840.10008.1.2.1") + b"".join(parts)


def _seconds(data: bytes) -> tuple[float, set[str]]:
    began = time.process_time()
    instance = read_instance(io.BytesIO(data), len(data))
    return time.process_time() - began, {finding.code for finding in instance.findings}


def test_many_items_behind_many_elements() -> None:
    uids = b"".join(_element(tag, b"UI", value) for tag, value in UIDS)
    many = b"".join(_element(0x00210000 | number, b"SH", b"") for number in range(1, 40_000))
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 40_000
    sequence = struct.pack("<HH2sHI", 0x2001, 0x1001, b"SQ", 0, len(items)) + items
    assert _seconds(_file(uids, many, sequence))[0] < 5


def test_many_elements_that_belong_elsewhere() -> None:
    strays = b"".join(_element(0x00030000 | number, b"SH", b"x") for number in range(1, 40_000))
    uids = b"".join(_element(tag, b"UI", value) for tag, value in UIDS)
    seconds, codes = _seconds(_file(strays, uids))
    assert seconds < 5
    assert "stray-elements" in codes
