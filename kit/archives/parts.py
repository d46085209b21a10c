"""Seekable files over pieces: over an upload's parts in the object store, and over a range of a file."""

import bisect
import io
from collections.abc import Sequence
from typing import BinaryIO

from kit.objects.port import Objects

WHOLE = 48 * 1024 * 1024
"""Up to this many bytes a batch is read into memory once, by one read a part."""


class _Parts(io.RawIOBase):
    def __init__(self, objects: Objects, parts: Sequence[tuple[str, int]]) -> None:
        self._objects = objects
        self._keys = [key for key, size in parts if size > 0]
        self._starts = [0]
        for _, size in parts:
            if size > 0:
                self._starts.append(self._starts[-1] + size)
        self._size = self._starts[-1]
        self._position = 0
        self._open: tuple[int, BinaryIO] | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        if self._position >= self._size:
            return 0
        index = bisect.bisect_right(self._starts, self._position) - 1
        if self._open is None or self._open[0] != index:
            if self._open is not None:
                self._open[1].close()
            self._open = (index, self._objects.open(self._keys[index]))
        file = self._open[1]
        file.seek(self._position - self._starts[index])
        wanted = min(len(buffer), self._starts[index + 1] - self._position)
        data = file.read(wanted)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None
        super().close()


def open_parts(objects: Objects, parts: Sequence[tuple[str, int]]) -> BinaryIO:
    """One seekable reader over object parts (key, bytes) that follow each other.

    Raises NotFound for a part that is not there.
    """
    if sum(size for _, size in parts) <= WHOLE:
        return io.BytesIO(b"".join(objects.read(key) for key, _ in parts))
    return io.BufferedReader(_Parts(objects, parts), 1 << 20)


class _Window(io.RawIOBase):
    def __init__(self, file: BinaryIO, runs: Sequence[tuple[int, int]]) -> None:
        self._file = file
        self._runs = [run for run in runs if run[1] > 0]
        self._starts = [0]
        for _, length in self._runs:
            self._starts.append(self._starts[-1] + length)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._starts[-1]}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        if self._position >= self._starts[-1]:
            return 0
        index = bisect.bisect_right(self._starts, self._position) - 1
        into = self._position - self._starts[index]
        wanted = min(len(buffer), self._runs[index][1] - into)
        self._file.seek(self._runs[index][0] + into)
        data = self._file.read(wanted)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def window(file: BinaryIO, runs: Sequence[tuple[int, int]], *, buffer: int = 256 * 1024) -> BinaryIO:
    """A seekable reader over ranges (offset, length) of another file, which it seeks but never closes."""
    return io.BufferedReader(_Window(file, runs), buffer)
