"""Frames out of fragments (PS3.5 A.4)."""

from struct import pack

import pytest

from kit.dicom.elements import Span
from kit.dicom.frames import Frames, Geometry, encapsulated_frames, native_frames

SOI = b"\xff\xd8\xff"


def fragments(*lengths: int) -> list[Span]:
    """The offset table's item, then fragments one behind the other."""
    found, pos = [Span(100, 0)], 108
    for length in lengths:
        found.append(Span(pos, length))
        pos += length + 8
    return found


def frames(parts: list[Span], count: int, table: bytes = b"", extended=None, heads=()) -> tuple[Frames, bool]:
    by_offset = dict(zip((part.offset for part in parts[1:]), heads, strict=False))
    return encapsulated_frames(
        parts,
        count,
        table,
        extended,
        lambda span: by_offset.get(span.offset, b"abc"),
        lambda offset: offset + 7,
    )


def test_one_fragment_a_frame() -> None:
    found, clear = frames(fragments(10, 20), 2)
    assert clear
    assert found.spans(1) == (Span(108 + 18 + 7, 20),)


def test_one_frame_of_many_fragments() -> None:
    found, clear = frames(fragments(10, 20, 30), 1)
    assert clear
    assert [span.length for span in found.spans(0)] == [10, 20, 30]


def test_the_basic_offset_table_decides() -> None:
    parts = fragments(10, 20, 30)
    found, clear = frames(parts, 2, pack("<2I", 0, 10 + 8))
    assert clear
    assert [len(found.spans(n)) for n in range(2)] == [1, 2]


def test_the_extended_offset_table_decides() -> None:
    parts = fragments(10, 20, 30)
    found, clear = frames(parts, 2, b"", (pack("<2Q", 0, 46), pack("<2Q", 30, 30)))
    assert clear
    assert [len(found.spans(n)) for n in range(2)] == [2, 1]


@pytest.mark.parametrize(
    "table", [b"", pack("<2I", 0, 5), pack("<2I", 8, 18), pack("<3I", 0, 18, 46), b"abc"]
)
def test_without_a_true_table_the_code_streams_decide(table: bytes) -> None:
    found, clear = frames(fragments(10, 20, 30), 2, table, heads=(SOI, b"xyz", SOI))
    assert clear
    assert [len(found.spans(n)) for n in range(2)] == [2, 1]


def test_frames_that_cannot_be_told_apart() -> None:
    assert frames(fragments(10, 20, 30), 2) == (Frames(), False)
    assert frames(fragments(), 2) == (Frames(), False)


def test_native_frames_count_what_is_whole() -> None:
    assert native_frames(50, 100, 400, 2) == (Frames(2, 50, 400), True)
    assert native_frames(50, 99, 400, 2) == (Frames(1, 50, 400), False)
    assert native_frames(50, 99, 0, 1) == (Frames(), True)


def test_geometry_bears_nonsense() -> None:
    header = {
        "00280010": {"Value": ["x"]},
        "00280011": {"Value": [-1]},
        "00280008": {},
        "00280100": {"Value": [8]},
    }
    geometry = Geometry.of(header)
    assert (geometry.rows, geometry.columns, geometry.frames, geometry.bits(0x7FE00010)) == (0, 0, 1, 0)


def test_subsampled_colour_takes_two_thirds() -> None:
    header = {
        "00280002": {"Value": [3]},
        "00280004": {"Value": ["YBR_FULL_422"]},
        "00280010": {"Value": [4]},
        "00280011": {"Value": [4]},
        "00280100": {"Value": [8]},
    }
    assert Geometry.of(header).bytes == 32
