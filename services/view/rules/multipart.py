"""multipart/related answers of DICOMweb (PS3.18 8.6, 8.7): parts and lengths."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    media: str
    length: int


def opening(boundary: str, part: Part) -> bytes:
    return f"--{boundary}\r\nContent-Type: {part.media}\r\nContent-Length: {part.length}\r\n\r\n".encode()


def closing(boundary: str) -> bytes:
    return f"--{boundary}--\r\n".encode()


def total(boundary: str, parts: Sequence[Part]) -> int:
    """Bytes of the whole body."""
    return sum(len(opening(boundary, part)) + part.length + 2 for part in parts) + len(closing(boundary))
