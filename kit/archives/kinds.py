"""Which container some bytes are, by content, and the reader for it."""

from collections.abc import Iterator
from typing import BinaryIO, Literal

from kit.archives import compressed, iso, tar, zip
from kit.archives.entry import ArchiveError, Entry

ArchiveKind = Literal["zip", "tar", "gzip", "bzip2", "xz", "iso", "other"]
HEAD = 40 * 1024
"""Bytes from the start that archive_kind looks at: a disc image shows itself at 32 KiB."""

_MARKS: tuple[tuple[bytes, ArchiveKind], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08PK\x03\x04", "zip"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "other"),
    (b"Rar!\x1a\x07", "other"),
    (b"MSCF\0\0\0\0", "other"),
    (b"\x04\x22\x4d\x18", "other"),
    (b"\x28\xb5\x2f\xfd", "other"),
)
_DISC_MARKS = (b"CD001", b"BEA01", b"NSR02", b"NSR03")


def archive_kind(head: bytes) -> ArchiveKind | None:
    """`other`: an archive of a kind that is not opened here (7z, RAR, CAB, LZ4, zstd, UDF alone)."""
    for mark, kind in _MARKS:
        if head.startswith(mark):
            return kind
    if head.startswith(b"BZh") and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bzip2"
    if head[32769:32774] == b"CD001":
        return "iso"
    if head[32769:32774] in _DISC_MARKS:
        return "other"
    if tar.looks_like_tar(head):
        return "tar"
    return None


def entries(kind: ArchiveKind, file: BinaryIO, size: int, name: str, *, most: int) -> Iterator[Entry]:
    """The members, in the container's order. `name` is the container's own, `most` the largest count.

    Raises ArchiveError at once or on the way; entries handed out before stay good.
    """
    file.seek(0)
    if kind == "zip":
        return zip.entries(file, size, most=most)
    if kind == "tar":
        return _counted(tar.entries(file), most)
    if kind == "iso":
        return iso.entries(file, size, most=most)
    if kind == "other":
        raise ArchiveError("archive-unsupported")
    return _counted(compressed.entries(file, kind, name), most)


def _counted(found: Iterator[Entry], most: int) -> Iterator[Entry]:
    for count, entry in enumerate(found, start=1):
        if count > most:
            raise ArchiveError("archive-too-many")
        yield entry
