"""Where the frames of an image lie in its bytes; pixel data itself is never read."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import unpack
from typing import Any, Self

from kit.dicom.elements import Span


@dataclass(frozen=True)
class Frames:
    """Frames of one instance; offsets count from the first byte of its stored Part 10 file.

    Native pixel data: `count` frames of `bits` each from `offset` on, not byte-aligned where bits
    is no multiple of 8. Encapsulated: the fragments of each frame in `fragments` (PS3.5 A.4).
    """

    count: int = 0
    offset: int = 0
    bits: int = 0
    fragments: tuple[tuple[Span, ...], ...] = ()

    def spans(self, frame: int) -> tuple[Span, ...]:
        """Bytes of a frame, counted from 0; join them. Raises IndexError."""
        if not 0 <= frame < self.count:
            raise IndexError(frame)
        if self.fragments:
            return self.fragments[frame]
        first = frame * self.bits
        start = first // 8
        return (Span(self.offset + start, (first + self.bits + 7) // 8 - start),)

    def bit_offset(self, frame: int) -> int:
        """Bits of the first byte of spans() that belong to the frame before."""
        return 0 if self.fragments else frame * self.bits % 8


@dataclass(frozen=True)
class Geometry:
    """The image's own account of its size, out of a header in the JSON model. Zero where unsaid."""

    rows: int
    columns: int
    samples: int
    allocated: int
    frames: int
    subsampled: bool

    @classmethod
    def of(cls, header: dict[str, Any]) -> Self:
        rows, columns = _count(header, "00280010", 0), _count(header, "00280011", 0)
        photometric = header.get("00280004", {}).get("Value")
        return cls(
            rows=rows,
            columns=columns,
            samples=_count(header, "00280002", 1),
            allocated=_count(header, "00280100", 0),
            frames=_count(header, "00280008", 1),
            subsampled=photometric in (["YBR_FULL_422"], ["YBR_PARTIAL_422"]),
        )

    def bits(self, tag: int) -> int:
        """Bits of one native frame in the pixel data element `tag`."""
        allocated = {0x7FE00008: 32, 0x7FE00009: 64}.get(tag, self.allocated)
        return self.rows * self.columns * (2 if self.subsampled else self.samples) * allocated

    @property
    def bytes(self) -> int:
        """Length of all frames, native."""
        return (self.bits(0x7FE00010) * self.frames + 7) // 8


def _count(header: dict[str, Any], key: str, default: int) -> int:
    values = header.get(key, {}).get("Value") or [default]
    return values[0] if isinstance(values[0], int) and 0 <= values[0] < 2**31 else default


def native_frames(offset: int, length: int, bits: int, declared: int) -> tuple[Frames, bool]:
    """Frames that are whole within `length` bytes, and whether all declared ones are."""
    if bits <= 0:
        return Frames(), True
    whole = min(declared, length * 8 // bits)
    return Frames(whole, offset, bits), whole == declared


def encapsulated_frames(
    fragments: Sequence[Span],
    declared: int,
    table: bytes,
    extended: tuple[bytes, bytes] | None,
    head_of: Callable[[Span], bytes],
    stored: Callable[[int], int],
) -> tuple[Frames, bool]:
    """Frames out of the fragments behind the offset table `table` (the first item, PS3.5 A.4), or by
    the Extended Offset Table and its lengths (PS3.3 C.7.6.3.1.8).

    `head_of` reads the first bytes of a fragment, `stored` maps source offsets to stored ones.
    The second value is False where frames can't be told apart.
    """
    parts = fragments[1:]
    if not parts:
        return Frames(), declared == 0
    groups = (
        _one_each(parts, declared)
        or _by_table(parts, declared, _numbers(table, 4))
        or (_by_table(parts, declared, _numbers(extended[0], 8)) if extended else None)
        or _by_start(parts, declared, head_of)
    )
    if groups is None:
        return Frames(), False
    return Frames(
        declared, fragments=tuple(tuple(Span(stored(s.offset), s.length) for s in group) for group in groups)
    ), True


def _numbers(data: bytes, size: int) -> tuple[int, ...]:
    count = len(data) // size
    return unpack(f"<{count}{'I' if size == 4 else 'Q'}", data[: count * size])


def _one_each(parts: Sequence[Span], declared: int) -> list[Sequence[Span]] | None:
    if declared == len(parts):
        return [[part] for part in parts]
    return [parts] if declared == 1 else None


def _by_table(parts: Sequence[Span], declared: int, offsets: Sequence[int]) -> list[Sequence[Span]] | None:
    """Offsets count from the first byte of the first fragment's item tag."""
    if len(offsets) != declared or not offsets or offsets[0] != 0:
        return None
    begins = [part.offset - parts[0].offset for part in parts]
    places: list[int] = []
    for offset in offsets:
        place = bisect_right(begins, offset) - 1
        if begins[place] != offset or (places and place <= places[-1]):
            return None
        places.append(place)
    return [parts[a:b] for a, b in zip(places, [*places[1:], len(parts)], strict=True)]


def _by_start(
    parts: Sequence[Span], declared: int, head_of: Callable[[Span], bytes]
) -> list[Sequence[Span]] | None:
    """No table: a frame begins where a JPEG or JPEG 2000 code stream does."""
    places = [n for n, part in enumerate(parts) if head_of(part)[:3] in (b"\xff\xd8\xff", b"\xff\x4f\xff")]
    if len(places) != declared or not places or places[0] != 0:
        return None
    return [parts[a:b] for a, b in zip(places, [*places[1:], len(parts)], strict=True)]
