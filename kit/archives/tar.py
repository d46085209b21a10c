"""tar: ustar, PAX and GNU long names (POSIX.1-2017 pax, "ustar Interchange Format").

Reads forward only, so that it also serves compressed streams. Nothing is allocated by a length
the file gives without a bound.
"""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from kit.archives.entry import ArchiveError, Entry, MemberError

BLOCK = 512
_EXTENDED_MAX = 1024 * 1024
_REGULAR = (b"0", b"\0", b"7")
_SPARSE = "GNU.sparse"
_OCTAL = re.compile(rb"[0-7]+")
_SKIPPED = {b"1": "link", b"2": "link", b"3": "device", b"4": "device", b"6": "device", b"S": "sparse"}


@dataclass(frozen=True)
class TarHeader:
    """`offset` is where the member's bytes start; None in a stream that can't say."""

    name: str
    size: int
    kind: str
    offset: int


def looks_like_tar(head: bytes) -> bool:
    """The checksum holds and the first member has a name: also for tars without the ustar magic."""
    return len(head) >= BLOCK and head[0] != 0 and _checksum_holds(head[:BLOCK])


def headers(file: BinaryIO) -> Iterator[TarHeader]:
    """Walk the members; between two steps the caller may read from the file as it likes, if the
    file can seek; otherwise exactly from the member's start, and not beyond its size.

    `kind` is "file", "folder", "link", "device" or "sparse". Raises ArchiveError(archive-damaged)
    where the chain of headers breaks; everything before is good.
    """
    seekable = file.seekable()
    position = 0
    extended: dict[str, str] = {}
    while True:
        block = file.read(BLOCK)
        if len(block) == 0 and position > 0:
            return
        if len(block) < BLOCK:
            raise ArchiveError("archive-damaged")
        position += BLOCK
        if block == bytes(BLOCK):
            return
        if not _checksum_holds(block):
            raise ArchiveError("archive-damaged")
        size = _number(block[124:136])
        kind = block[156:157]
        if kind in (b"x", b"g", b"L", b"K"):
            if size > _EXTENDED_MAX:
                raise ArchiveError("archive-damaged")
            data = _exactly(file, size)
            _exactly(file, -size % BLOCK)
            position += size + (-size % BLOCK)
            if kind == b"x":
                # of headers in a row, without bound, no more is kept than is used
                extended.update((key, text) for key, text in _pax(data).items() if _is_used(key))
            elif kind == b"L":
                extended["path"] = _text(data.split(b"\0", 1)[0])
            continue
        name = extended.get("path") or _ustar_name(block)
        if "size" in extended:
            if not extended["size"].isdecimal() or len(extended["size"]) > 18:
                raise ArchiveError("archive-damaged")
            size = int(extended["size"])
        sparse = _SPARSE in extended
        extended = {}
        yield TarHeader(name, size, _kind(kind, name, sparse), position)
        whole = size + (-size % BLOCK)
        position += whole
        if seekable:
            file.seek(position)
        else:
            # The caller consumed the content; only the padding is left.
            _exactly(file, -size % BLOCK)


def entries(file: BinaryIO) -> Iterator[Entry]:
    """Members of a tar as archive entries, from a seekable file or a forward-only stream."""
    found = False
    for header in headers(file):
        found = True
        content = _Content(file, header.size)
        if header.kind == "folder":
            content.drain()
            continue
        skipped = "" if header.kind == "file" else header.kind
        yield Entry(header.name, header.size, _opener(content), skipped)
        if not file.seekable():
            content.drain()
    if not found:
        raise ArchiveError("archive-damaged")


class _Content(io.RawIOBase):
    """The bytes of one member, read forward."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        if self._left <= 0:
            return 0
        data = self._file.read(min(len(buffer), self._left))
        if not data:
            raise MemberError("member-damaged")
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def drain(self) -> None:
        while self._left > 0:
            data = self._file.read(min(self._left, 1 << 20))
            if not data:
                raise ArchiveError("archive-damaged")
            self._left -= len(data)


def _opener(content: _Content) -> Callable[[], BinaryIO]:
    return lambda: io.BufferedReader(content, 1 << 18)


def _kind(flag: bytes, name: str, sparse: bool) -> str:
    if sparse:
        return "sparse"
    if flag == b"5" or (flag in _REGULAR and name.endswith("/")):
        return "folder"
    return "file" if flag in _REGULAR else _SKIPPED.get(flag, "device")


def _checksum_holds(block: bytes) -> bool:
    try:
        stated = _number(block[148:156])
    except ArchiveError:
        return False
    return stated == sum(block[:148]) + 8 * 32 + sum(block[156:])


def _number(field: bytes) -> int:
    """Octal text, or base 256 where the first bit is set (GNU)."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] & 0x40 or value >= 1 << 62:
            raise ArchiveError("archive-damaged")
        return value
    digits = field.split(b"\0", 1)[0].strip()
    if not digits:
        return 0
    if not _OCTAL.fullmatch(digits):
        # int() would also take signs and underscores; a negative size would never let the walk end
        raise ArchiveError("archive-damaged")
    return int(digits, 8)


def _ustar_name(block: bytes) -> str:
    name = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0]
    if block[257:263] == b"ustar\0" and prefix:
        name = prefix + b"/" + name
    return _text(name)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _is_used(key: str) -> bool:
    return key in ("path", "size", _SPARSE)


def _pax(data: bytes) -> dict[str, str]:
    """Records "<length> <keyword>=<value>\\n"; what is malformed ends the reading of the header."""
    records: dict[str, str] = {}
    position = 0
    while position < len(data):
        length_end = data.find(b" ", position, position + 20)
        if length_end < 0 or not data[position:length_end].isdigit():
            break
        length = int(data[position:length_end])
        record = data[length_end + 1 : position + length - 1]
        key, separator, value = record.partition(b"=")
        if not separator or length <= 0:
            break
        name = _text(key)
        records[_SPARSE if name.startswith(_SPARSE) else name] = _text(value)
        position += length
    return records


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size) if size else b""
    if len(data) < size:
        raise ArchiveError("archive-damaged")
    return data
