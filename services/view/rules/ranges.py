"""Ranges and conditions of requests (RFC 9110)."""

from collections.abc import Mapping
from dataclasses import dataclass

from kit.errors import Refused


class Unsatisfiable(Refused):
    status = 416

    def __init__(self) -> None:
        super().__init__("bad-range", "That range lies outside the content.")

    def __reduce__(self) -> tuple[type["Unsatisfiable"], tuple[()]]:  # type: ignore[override]
        return type(self), ()


@dataclass(frozen=True)
class Slice:
    start: int
    length: int


def slice_of(headers: Mapping[str, str], size: int, etag: str) -> Slice | None:
    """The one range asked for; None: everything (no range, several, or the content changed).
    Raises Unsatisfiable."""
    text = headers.get("range", "")
    unit, _, spec = text.partition("=")
    if unit.strip().lower() != "bytes" or "," in spec or headers.get("if-range", etag) != etag:
        return None
    first, dash, last = spec.strip().partition("-")
    if not dash or not all(
        part.isascii() and part.isdigit() and len(part) < 19 for part in (first, last) if part
    ):
        return None
    if first:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
    elif last:
        start, end = max(0, size - int(last)), size - 1
    else:
        return None
    if last and first and int(last) < start:
        return None
    if start >= size or end < start:
        raise Unsatisfiable
    return Slice(start, end - start + 1)


def unchanged(headers: Mapping[str, str], etag: str) -> bool:
    """Whether the caller has this very content already."""
    known = headers.get("if-none-match", "")
    return known.strip() == "*" or etag in (part.strip().removeprefix("W/") for part in known.split(","))
