"""How much work something is, in calls made by this thread: the same however busy the machine is."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Calls:
    """`count` is final once the block has ended."""

    count = 0


@contextmanager
def calls() -> Iterator[Calls]:
    """Counts calls of functions, those written in C included, within the block."""
    found = Calls()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event in ("call", "c_call"):
            found.count += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(before)
