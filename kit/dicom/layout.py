"""The bytes to store: ranges of the source with the patches put in, and where an offset went."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from kit.dicom.elements import Element, Patch, Span

Piece = bytes | Span


class Layout:
    """`beginning` replaces the source up to `dataset` (None keeps it); the source ends at `tail`."""

    def __init__(self, beginning: bytes | None, patches: Sequence[Patch], dataset: int, tail: int) -> None:
        # insertions come before a replacement at the same place
        changes = sorted(patches, key=lambda patch: (patch.offset, patch.length > 0))
        if beginning is not None:
            changes.insert(0, Patch(0, dataset, beginning))
        self.dataset_offset = dataset if beginning is None else len(beginning)
        pieces: list[Piece] = []
        self._ends: list[int] = []
        self._shifts: list[int] = []
        pos = shift = 0
        for offset, length, data in changes:
            if offset > pos:
                pieces.append(Span(pos, offset - pos))
            if data:
                pieces.append(data)
            pos = offset + length
            shift += len(data) - length
            self._ends.append(pos)
            self._shifts.append(shift)
        if tail > pos:
            pieces.append(Span(pos, tail - pos))
        self.pieces = tuple(pieces)
        self.size = tail + shift

    def stored(self, offset: int) -> int:
        """Where a byte of the source is in the stored file."""
        place = bisect_right(self._ends, offset)
        return offset + (self._shifts[place - 1] if place else 0)


def right_group_lengths(elements: Sequence[Element], patches: list[Patch], tail: int) -> bool:
    """Correct the group lengths (gggg,0000) of a data set in order (PS3.5 7.2) by further patches.
    True when one was wrong."""
    starts = [place for place, element in enumerate(elements) if not element[0] & 0xFFFF]
    if not starts:
        return False
    patches.sort(key=lambda patch: patch.offset)
    offsets = [patch.offset for patch in patches]
    grown = [0, *accumulate(len(patch.data) - patch.length for patch in patches)]
    fixes: list[Patch] = []
    for place in starts:
        tag, _, _, start, stop, value = elements[place]
        following = bisect_left(elements, (tag >> 16) + 1, place, key=lambda element: element[0] >> 16)
        end = elements[following][2] if following < len(elements) else tail
        delta = grown[bisect_left(offsets, end)] - grown[bisect_left(offsets, stop)]
        right = (end - stop + delta).to_bytes(4, "little")
        if value is not None and len(value) == 4 and value != right:
            fixes.append(Patch(start, 4, right))
    patches += fixes
    return bool(fixes)
