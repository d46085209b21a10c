"""gzip, bzip2 and xz as forward-only streams: a tar inside, or one file."""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Literal, Protocol

from kit.archives import tar
from kit.archives.entry import ArchiveError, Entry, MemberError

Compression = Literal["gzip", "bzip2", "xz"]
_INPUT = 32 * 1024
"""Small, since what a stream leaves unused is copied for each of the many that may follow it."""
_XZ_MEMORY = 192 * 1024 * 1024
_SUFFIXES = {"gzip": (".gz", ".z"), "bzip2": (".bz2",), "xz": (".xz",)}


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gunzip:
    """zlib in the manner of bz2 and lzma: it keeps what it has not used."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail and not self._zlib.eof

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


_MAKERS: dict[str, Callable[[], _Decompressor]] = {
    "gzip": _Gunzip,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY),
}


class _Plain(io.RawIOBase):
    """The decompressed bytes; several compressed streams may follow each other (RFC 1952 2.2)."""

    def __init__(self, file: BinaryIO, compression: Compression) -> None:
        self._file = file
        self._make = _MAKERS[compression]
        self._decompressor = self._make()
        self._pending = b""
        self._broken = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        if self._broken:
            raise MemberError("member-damaged")
        while True:
            if self._decompressor.eof and not self._next_stream():
                return 0
            data = b""
            if self._decompressor.needs_input:
                data = self._pending or self._file.read(_INPUT)
                self._pending = b""
                if not data:
                    raise self._damage()
            try:
                plain = self._decompressor.decompress(data, len(buffer))
            except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError, MemoryError) as error:
                raise self._damage() from error
            if plain:
                buffer[: len(plain)] = plain
                return len(plain)

    def _damage(self) -> MemberError:
        """A decompressor that failed must not be asked again."""
        self._broken = True
        return MemberError("member-damaged")

    def _next_stream(self) -> bool:
        """Padding of zeros, or anything that is no further stream, ends the file."""
        rest = self._decompressor.unused_data or self._file.read(_INPUT)
        while rest and not rest.strip(b"\0"):
            rest = self._file.read(_INPUT)
        if not rest or rest[:2] not in (b"\x1f\x8b", b"BZ", b"\xfd7"):
            return False
        self._pending = rest
        self._decompressor = self._make()
        return True


def entries(file: BinaryIO, compression: Compression, name: str) -> Iterator[Entry]:
    """The members of a compressed tar, or the one file inside under the container's name without suffix."""
    plain = _Replayed(file, compression)
    try:
        head = plain.peek(tar.BLOCK)
    except MemberError as error:
        raise ArchiveError("archive-damaged") from error
    if tar.looks_like_tar(head):
        yield from _tar_entries(plain)
    else:
        yield Entry(_inner_name(name, compression), None, lambda: io.BufferedReader(plain, 1 << 18))


def _tar_entries(plain: "_Replayed") -> Iterator[Entry]:
    try:
        yield from tar.entries(io.BufferedReader(plain, 1 << 18))
    except MemberError as error:
        # Damage in the compressed stream: nothing behind it can be read.
        raise ArchiveError("archive-damaged") from error


class _Replayed(io.RawIOBase):
    """A stream whose start was looked at and is read again."""

    def __init__(self, file: BinaryIO, compression: Compression) -> None:
        self._plain = _Plain(file, compression)
        self._head = b""

    def readable(self) -> bool:
        return True

    def peek(self, size: int) -> bytes:
        while len(self._head) < size and (data := self._plain.read(size - len(self._head))):
            self._head += data
        return self._head

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        if self._head:
            data, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
            buffer[: len(data)] = data
            return len(data)
        return self._plain.readinto(buffer)


def _inner_name(name: str, compression: Compression) -> str:
    for suffix in _SUFFIXES[compression]:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name
