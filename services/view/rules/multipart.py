"""multipart/related answers of DICOMweb (PS3.18 8.6, 8.7): parts, lengths, what the caller accepts."""

from collections.abc import Sequence
from dataclasses import dataclass

from kit.dicom.meta import NATIVE


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


def media_of(transfer_syntax: str) -> str:
    """How frames of that transfer syntax are announced. Native ones are Explicit VR Little Endian."""
    if transfer_syntax in NATIVE:
        return "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    return f"application/octet-stream; transfer-syntax={transfer_syntax}"


def wants_single(accept: str, media: str) -> bool:
    """Whether the caller takes the plain media type and does not take multipart."""
    kinds = [kind.strip().split(";")[0].strip().lower() for kind in accept.split(",")]
    return media in kinds and "multipart/related" not in kinds
