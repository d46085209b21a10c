"""Which image stands for many: the middle one of the series with most pictures."""

from collections.abc import Sequence

from kit.dicom.pack import PackEntry
from services.view.rules.attributes import T, by_number


def middle_of(found: Sequence[T]) -> T:
    """The middle image of one series by instance number; one with frames before one without."""
    shown = [one for one in found if one.entry.frames.count] or list(found)
    return by_number(shown)[len(shown) // 2]


def largest_series(found: Sequence[T]) -> list[T]:
    """The images of the series with most frames, the first of several."""
    by_series: dict[str, list[T]] = {}
    for one in found:
        by_series.setdefault(one.entry.series_instance_uid, []).append(one)
    return max(by_series.values(), key=lambda ones: sum(1 for one in ones if one.entry.frames.count))


def middle_frame(entry: PackEntry) -> int:
    return entry.frames.count // 2
