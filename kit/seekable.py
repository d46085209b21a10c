"""Seekable readers over bytes that lie elsewhere: the part they share, and the one over memory."""

import io


class Seekable(io.RawIOBase):
    """What readers over `size` bytes have in common; they read from `_position`."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._position = 0

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


class Memory(Seekable):
    """A seekable reader over bytes in memory, which `view` gives without a copy."""

    def __init__(self, view: memoryview) -> None:
        super().__init__(len(view))
        self.view = view

    def read(self, size: int | None = -1) -> bytes:
        end = len(self.view) if size is None or size < 0 else self._position + size
        data = bytes(self.view[self._position : end])
        self._position += len(data)
        return data

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        data = self.view[self._position : self._position + len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def window(self, offset: int, size: int) -> "Memory":
        """A reader over a range of the same bytes."""
        return Memory(self.view[offset : offset + size])
