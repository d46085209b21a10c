"""What a data set is read into: elements, spans of a file, patches to its bytes (PS3.5 7)."""

from typing import Any, Final, NamedTuple

Element = tuple[int, str, int, int, int, Any]
"""tag, VR, offset of the header, offset of the value, offset behind it, value.

The value is bytes; for SQ a list of items (each a list of elements, or what a reader's `on_item` made
of it); None where it was left in the file; FRAGMENTS where it is encapsulated, left there too, and
runs from its first item to its sequence delimiter, whose eight bytes are not counted.
"""

FRAGMENTS: Final = ("fragments",)

UNDEFINED = 0xFFFFFFFF
PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})


class Span(NamedTuple):
    """A range of a file, in bytes."""

    offset: int
    length: int


class Patch(NamedTuple):
    """Replace `length` bytes at `offset` of the source by `data`."""

    offset: int
    length: int
    data: bytes
