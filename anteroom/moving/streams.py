"""An object that comes in blocks, as something to read from."""

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast


class Streamed(io.RawIOBase):
    """Reads on only. The object is asked for at the first read."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._left = memoryview(b"")

    @classmethod
    def opened(cls, stream: Callable[[str], Iterator[bytes]], key: str) -> BinaryIO:
        return cast(BinaryIO, cls(stream(key)))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        if not self._left:
            self._left = memoryview(next(self._blocks, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count
