"""The tar form of the spool: headers written last, with a CRC-32 of the data in the user-name field,
so that a reader can tell whole members from what a crash cut off (POSIX pax, GNU base-256 sizes)."""

import tarfile
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

BLOCK = 512
_READ = 1 << 20
_MAX_NAME = 1024
_OCTAL_LIMIT = 8**11


@dataclass(frozen=True)
class Member:
    """A file in a spool. `offset` is where its data begins in the tar."""

    name: str
    offset: int
    size: int


def member_name(ordinal: int, path: str) -> str:
    """The name of a file in a batch, "<ordinal>/<path>": NFC, without NUL, at most 1,024 characters.

    The path is what the sender called it, for display alone; the ordinal is its identity.
    """
    shown = path.encode("utf-8", "replace").decode("utf-8").replace("\0", "_")
    shown = unicodedata.normalize("NFC", shown).rstrip("/")[-_MAX_NAME:]
    return f"{ordinal}/{shown or 'unnamed'}"


def whole_members(file: BinaryIO) -> Iterator[Member]:
    """The members of a spool tar from its start, up to the first that is not whole."""
    offset = 0
    long_name: str | None = None
    while True:
        file.seek(offset)
        block = file.read(BLOCK)
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            return
        data = offset + BLOCK
        if info.type == tarfile.XHDTYPE:
            if info.size > 1 << 20:
                return
            long_name = _pax_path(file.read(info.size))
        elif info.type != tarfile.REGTYPE or _crc(file, info.size) != info.uname:
            return
        else:
            yield Member(long_name or info.name, data, info.size)
            long_name = None
        offset = padded(data + info.size)


def header_of(name: str) -> bytes:
    """All header blocks of a member, its size, CRC and checksum still missing."""
    info = tarfile.TarInfo(name)
    info.mode = 0o600
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def completed(header: bytes, size: int, crc: int) -> bytes:
    """The header with its size (base-256 from 8 GiB on, as GNU and star write it), CRC and checksum."""
    block = bytearray(header[-BLOCK:])
    block[124:136] = b"%011o\0" % size if size < _OCTAL_LIMIT else b"\x80" + size.to_bytes(11, "big")
    block[265:273] = b"%08x" % crc
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return header[:-BLOCK] + bytes(block)


def _pax_path(records: bytes) -> str | None:
    while records:
        length, _, rest = records.partition(b" ")
        if not length.isdigit() or int(length) <= len(length):
            return None
        record = rest[: int(length) - len(length) - 2]
        keyword, _, value = record.partition(b"=")
        if keyword == b"path":
            return value.decode("utf-8", "replace")
        records = records[int(length) :]
    return None


def _crc(file: BinaryIO, size: int) -> str | None:
    """CRC-32 of the next `size` bytes as in the header; None when they aren't all there."""
    crc = 0
    while size > 0:
        block = file.read(min(size, _READ))
        if not block:
            return None
        crc = zlib.crc32(block, crc)
        size -= len(block)
    return f"{crc:08x}"


def padded(size: int) -> int:
    """The size in whole blocks."""
    return -(-size // BLOCK) * BLOCK
