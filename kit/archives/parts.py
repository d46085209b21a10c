"""Seekable files over pieces: over an upload's parts in the object store, and over a range of a file."""

import bisect
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, cast

from kit.errors import TransientError
from kit.objects.port import Objects
from kit.seekable import Memory, Seekable

WHOLE = 48 * 1024 * 1024
"""Up to this many bytes a batch is looked at in memory: mapped, or read once where that can't be."""


class _Parts(Seekable):
    def __init__(self, objects: Objects, parts: Sequence[tuple[str, int]]) -> None:
        self._objects = objects
        self._keys = [key for key, size in parts if size > 0]
        self._starts = [0]
        for _, size in parts:
            if size > 0:
                self._starts.append(self._starts[-1] + size)
        super().__init__(self._starts[-1])
        self._open: tuple[int, BinaryIO] | None = None

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
        _whole(len(data), wanted)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None
        super().close()


@contextmanager
def open_parts(objects: Objects, parts: Sequence[tuple[str, int]]) -> Iterator[BinaryIO]:
    """One seekable reader over object parts (key, bytes) that follow each other: a Memory up to WHOLE.
    What was made of it must not be used after the block.

    Raises NotFound for a part that is not there, TransientError for one of another size.
    """
    size = sum(size for _, size in parts)
    if size > WHOLE:
        with io.BufferedReader(_Parts(objects, parts), 1 << 20) as reader:
            yield reader
        return
    if len(parts) == 1:
        with objects.view(parts[0][0]) as view:
            _whole(len(view), size)
            yield cast(BinaryIO, Memory(view))
        return
    memory = bytearray(size)
    done = 0
    for key, length in parts:
        with objects.view(key) as view:
            _whole(len(view), length)
            memory[done : done + length] = view
            done += length
    yield cast(BinaryIO, Memory(memoryview(memory)))


def _whole(found: int, wanted: int) -> None:
    """A part that the store cut is the store's fault, and no broken file of the sender."""
    if found != wanted:
        raise TransientError(f"a stored part has {found} bytes instead of {wanted}")


class _Window(Seekable):
    def __init__(self, file: BinaryIO, runs: Sequence[tuple[int, int]]) -> None:
        self._file = file
        self._runs = [run for run in runs if run[1] > 0]
        self._starts = [0]
        for _, length in self._runs:
            self._starts.append(self._starts[-1] + length)
        super().__init__(self._starts[-1])

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
