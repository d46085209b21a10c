"""ZIP and ZIP64 (PKWARE APPNOTE 6.3), read by its central directory, or, where that is missing,
by walking the local headers.

Sizes and offsets the file states are held against what is there: a member that turns out longer
or shorter, or overlaps another, is refused.
"""

import bz2
import io
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from kit.archives.entry import ArchiveError, Entry, MemberError
from kit.archives.parts import window

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED, _BZIP2 = 0, 8, 12
_ENCRYPTED, _DESCRIPTOR, _UTF8 = 0x1, 0x8, 0x800
_READ = 256 * 1024
_NAMES_MAX = 64 * 1024
_MEASURED_MAX = 4 << 30


@dataclass(frozen=True)
class ZipMember:
    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    mode: int

    @property
    def encrypted(self) -> bool:
        return bool(self.flags & _ENCRYPTED)

    @property
    def folder(self) -> bool:
        return self.name.endswith(("/", "\\")) and self.size == 0


def members(file: BinaryIO, size: int, *, most: int) -> list[ZipMember]:
    """The central directory, checked. Raises ArchiveError: archive-damaged when there is none,
    archive-lies when members overlap or point outside, archive-too-many."""
    start, length, base = _find_directory(file, size)
    directory = window(file, [(start, length)])
    found: list[ZipMember] = []
    while len(head := directory.read(_CENTRAL.size)) == _CENTRAL.size:
        if head[:4] != b"PK\x01\x02":
            break
        if len(found) >= most:
            raise ArchiveError("archive-too-many")
        found.append(_central_member(head, directory, base))
    if not found and length >= _CENTRAL.size:
        raise ArchiveError("archive-damaged")
    _refuse_overlap(found, start)
    return found


def entries(file: BinaryIO, size: int, *, most: int) -> Iterator[Entry]:
    """Raises ArchiveError: also archive-encrypted, when nothing can be read without a password."""
    try:
        found = members(file, size, most=most)
    except ArchiveError as error:
        if error.code != "archive-damaged":
            raise
        yield from _walk(file, size)
        raise
    files = [member for member in found if not member.folder]
    if files and all(member.encrypted for member in files):
        raise ArchiveError("archive-encrypted")
    for member in files:
        skipped = "link" if stat.S_ISLNK(member.mode) else ""
        yield Entry(member.name, member.size, _opener(file, member), skipped)


def _opener(file: BinaryIO, member: ZipMember) -> Callable[[], BinaryIO]:
    def open_member() -> BinaryIO:
        if member.encrypted:
            raise MemberError("member-encrypted")
        file.seek(member.offset)
        head = file.read(_LOCAL.size)
        if len(head) < _LOCAL.size or head[:4] != b"PK\x03\x04":
            raise MemberError("member-damaged")
        fields = _LOCAL.unpack(head)
        start = member.offset + _LOCAL.size + fields[9] + fields[10]
        packed = window(file, [(start, member.packed)])
        return io.BufferedReader(
            _Content(packed, _decompressor(member.method), member.size, member.crc), _READ
        )

    return open_member


class _Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Stored:
    def decompress(self, data: bytes, max_length: int) -> bytes:
        return data


class _Inflate:
    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(-15)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._zlib.eof:
            # as bz2 does: zlib would gather all that follows in memory
            raise EOFError
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused(self) -> bytes:
        return self._zlib.unused_data

    @property
    def pending(self) -> bool:
        return bool(self._zlib.unconsumed_tail)


def _decompressor(method: int) -> _Decompressor:
    if method == _STORED:
        return _Stored()
    if method == _DEFLATED:
        return _Inflate()
    if method == _BZIP2:
        return bz2.BZ2Decompressor()
    raise MemberError("member-unsupported")


class _Content(io.RawIOBase):
    """The bytes of one member; at its end size and CRC-32 must be what the directory says."""

    def __init__(self, packed: BinaryIO, decompressor: _Decompressor, size: int, crc: int) -> None:
        self._packed = packed
        self._decompressor = decompressor
        self._left = size
        self._crc = crc
        self._running = 0
        self._plain = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        if not self._plain:
            self._plain = self._more(max(len(buffer), _READ))
            self._left -= len(self._plain)
            self._running = zlib.crc32(self._plain, self._running)
            if self._left < 0:
                raise MemberError("member-lies")
            if not self._plain:
                if self._left > 0 or self._running != self._crc:
                    raise MemberError("member-damaged")
                return 0
        data, self._plain = self._plain[: len(buffer)], self._plain[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)

    def _more(self, wanted: int) -> bytes:
        """At most one byte more than promised, so that a lie shows and costs nothing."""
        most = min(wanted, self._left + 1)
        try:
            while True:
                data = b"" if self._holds_input() else self._packed.read(min(_READ, most + 64))
                plain = self._decompressor.decompress(data, most)
                if plain or not (data or self._holds_input()):
                    return plain
        except EOFError:
            return b""
        except (zlib.error, OSError, ValueError) as error:
            raise MemberError("member-damaged") from error

    def _holds_input(self) -> bool:
        if isinstance(self._decompressor, _Inflate):
            return self._decompressor.pending
        if isinstance(self._decompressor, bz2.BZ2Decompressor):
            return not self._decompressor.needs_input and not self._decompressor.eof
        return False


def _find_directory(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Start and length of the central directory, and what must be added to the offsets in it (data
    before the archive). Raises ArchiveError(archive-damaged)."""
    tail_start = max(0, size - _END.size - 0xFFFF)
    file.seek(tail_start)
    tail = file.read(size - tail_start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise ArchiveError("archive-damaged")
    fields = _END.unpack_from(tail, at)
    length, offset = int(fields[5]), int(fields[6])
    end = tail_start + at
    if 0xFFFFFFFF in (length, offset) or 0xFFFF in (fields[3], fields[4]):
        end64 = _find_end64(file, end)
        if end64 is not None:
            length, offset, end = end64
    start = end - length
    base = start - offset
    if start < 0 or base < 0:
        raise ArchiveError("archive-damaged")
    return start, length, base


def _find_end64(file: BinaryIO, end: int) -> tuple[int, int, int] | None:
    """(directory length, directory offset, position of the ZIP64 end record)."""
    if end < _END64_LOCATOR.size:
        return None
    file.seek(end - _END64_LOCATOR.size)
    locator = file.read(_END64_LOCATOR.size)
    if locator[:4] != b"PK\x06\x07":
        return None
    stated = _END64_LOCATOR.unpack(locator)[2]
    for position in (stated, end - _END64_LOCATOR.size - _END64.size):
        if 0 <= position <= end - _END64.size:
            file.seek(position)
            record = file.read(_END64.size)
            if record[:4] == b"PK\x06\x06":
                fields = _END64.unpack(record)
                return int(fields[8]), int(fields[9]), position
    raise ArchiveError("archive-damaged")


def _central_member(head: bytes, directory: BinaryIO, base: int) -> ZipMember:
    fields = _CENTRAL.unpack(head)
    flags, method, crc = fields[3], fields[4], fields[7]
    packed, size, name_length, extra_length, comment_length = fields[8:13]
    mode, offset = fields[15] >> 16, fields[16]
    if name_length + extra_length + comment_length > 3 * _NAMES_MAX:
        raise ArchiveError("archive-damaged")
    name = directory.read(name_length)
    extra = directory.read(extra_length)
    directory.read(comment_length)
    if 0xFFFFFFFF in (packed, size, offset):
        size, packed, offset = _zip64_sizes(extra, size, packed, offset)
    return ZipMember(_name(name, flags, extra), flags, method, crc, packed, size, base + offset, mode)


def _zip64_sizes(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """APPNOTE 4.5.3: only the fields that are all ones, in this order."""
    values = _extra(extra, 0x0001)
    numbers = iter(struct.unpack(f"<{len(values) // 8}Q", values[: len(values) // 8 * 8]))
    try:
        if size == 0xFFFFFFFF:
            size = next(numbers)
        if packed == 0xFFFFFFFF:
            packed = next(numbers)
        if offset == 0xFFFFFFFF:
            offset = next(numbers)
    except StopIteration as error:
        raise ArchiveError("archive-damaged") from error
    return size, packed, offset


def _extra(extra: bytes, wanted: int) -> bytes:
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        if kind == wanted:
            return extra[position + 4 : position + 4 + length]
        position += 4 + length
    return b""


def _name(name: bytes, flags: int, extra: bytes) -> str:
    """UTF-8 where it says so or is so; otherwise code page 437 (APPNOTE appendix D)."""
    unicode_path = _extra(extra, 0x7075)
    if len(unicode_path) > 5 and unicode_path[1:5] == struct.pack("<L", zlib.crc32(name)):
        name, flags = unicode_path[5:], flags | _UTF8
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("utf-8", "replace") if flags & _UTF8 else name.decode("cp437")


def _refuse_overlap(found: list[ZipMember], directory_start: int) -> None:
    end = 0
    for member in sorted(found, key=lambda member: member.offset):
        if member.folder:
            continue
        if member.offset < end:
            raise ArchiveError("archive-lies")
        end = member.offset + _LOCAL.size + member.packed
        if end > directory_start:
            raise ArchiveError("archive-lies")


def _walk(file: BinaryIO, size: int) -> Iterator[Entry]:
    """Members of a ZIP that was cut short, as far as they are whole."""
    position = 0
    while position + _LOCAL.size <= size:
        file.seek(position)
        head = file.read(_LOCAL.size)
        if head[:4] != b"PK\x03\x04":
            return
        fields = _LOCAL.unpack(head)
        flags, method, crc, packed, plain = fields[2], fields[3], fields[6], fields[7], fields[8]
        if method not in (_STORED, _DEFLATED, _BZIP2):
            # An odd one, or no header at all: without a directory there is no telling.
            return
        name, extra = file.read(fields[9]), file.read(fields[10])
        start = position + _LOCAL.size + fields[9] + fields[10]
        if 0xFFFFFFFF in (packed, plain):
            plain, packed, _ = _zip64_sizes(extra, plain, packed, 0)
        if flags & _DESCRIPTOR:
            measured = _measure(file, start, size, method)
            if measured is None:
                return
            packed, plain, crc = measured
        member = ZipMember(_name(name, flags, extra), flags, method, crc, packed, plain, position, 0)
        position = start + packed
        if position > size:
            if not member.folder:
                yield Entry(member.name, member.size, _damaged)
            return
        if flags & _DESCRIPTOR:
            position += _descriptor_length(file, position)
        if not member.folder:
            yield Entry(member.name, member.size, _opener(file, member))


def _damaged() -> BinaryIO:
    raise MemberError("member-damaged")


def _measure(file: BinaryIO, start: int, size: int, method: int) -> tuple[int, int, int] | None:
    """Packed size, size and CRC-32 of a deflated member whose header leaves them out."""
    if method != _DEFLATED:
        return None
    inflate, position, plain, crc = _Inflate(), start, 0, 0
    file.seek(start)
    try:
        while not inflate.eof:
            data = b"" if inflate.pending else file.read(min(_READ, size - position))
            if not data and not inflate.pending:
                return None
            position += len(data)
            block = inflate.decompress(data, 1 << 20)
            plain += len(block)
            if plain > _MEASURED_MAX:
                return None
            crc = zlib.crc32(block, crc)
    except zlib.error:
        return None
    return position - len(inflate.unused) - start, plain, crc


def _descriptor_length(file: BinaryIO, position: int) -> int:
    """With or without signature, of 32 or 64 bit sizes: up to the next local header."""
    file.seek(position)
    tail = file.read(28)
    for length in (16, 12, 24, 20):
        if tail[length : length + 4] in (b"PK\x03\x04", b"PK\x01\x02"):
            return length
    return 16
