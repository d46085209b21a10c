"""Sets of file ordinals as sorted, disjoint, inclusive ranges: 20,000 files are a handful of pairs.

The text form is "0-511,600": decimal numbers and ranges, ascending, by commas.
"""

from collections.abc import Iterable, Iterator

from kit.errors import Refused

Ranges = list[tuple[int, int]]
_MAX_TEXT = 100_000
_MAX_DIGITS = 9


def parse(text: str) -> Ranges:
    """Raises Refused for anything but the text form (order and overlaps are forgiven)."""
    if len(text) > _MAX_TEXT:
        raise _malformed()
    pairs = []
    for piece in text.split(","):
        first, dash, last = piece.strip().partition("-")
        pairs.append((_number(first), _number(last) if dash else _number(first)))
    if any(low > high for low, high in pairs):
        raise _malformed()
    return merged(pairs)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise _malformed()
    return int(text)


def _malformed() -> Refused:
    return Refused("bad-ordinals", "The ordinals must be numbers and ranges by commas, such as 0-511,600.")


def render(ranges: Iterable[tuple[int, int]]) -> str:
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)


def merged(pairs: Iterable[tuple[int, int]]) -> Ranges:
    """Any pairs, as ranges."""
    result: Ranges = []
    for low, high in sorted(pairs):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], high))
        else:
            result.append((low, high))
    return result


def of_numbers(numbers: Iterable[int]) -> Ranges:
    return merged((number, number) for number in numbers)


def overlap(left: Ranges, right: Ranges) -> bool:
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i][1] < right[j][0]:
            i += 1
        elif right[j][1] < left[i][0]:
            j += 1
        else:
            return True
    return False


def missing(ranges: Ranges, count: int) -> Ranges:
    """What of 0 … count-1 is not in them."""
    result: Ranges = []
    start = 0
    for low, high in ranges:
        if low > start:
            result.append((start, low - 1))
        start = high + 1
    if start < count:
        result.append((start, count - 1))
    return result


def size(ranges: Ranges) -> int:
    return sum(high - low + 1 for low, high in ranges)


def numbers(ranges: Ranges) -> Iterator[int]:
    for low, high in ranges:
        yield from range(low, high + 1)
