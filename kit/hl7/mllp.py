"""Minimal lower layer protocol, release 1 (HL7 2.5.1 appendix C): frames over a TCP stream.

<0x0B> message <0x1C> <0x0D>. The reader holds at most the cap of one message; a longer one is
read to its end and thrown away but for its head, so that its sender can be told and go on.
"""

import asyncio
from dataclasses import dataclass

START = b"\x0b"
END = b"\x1c"
_BLOCK = 65536
_BETWEEN = b"\r\n \t\0"


class NotMllp(Exception):
    """The peer does not speak MLLP, or stopped in the middle. Holds no content."""


@dataclass(frozen=True, slots=True)
class Frame:
    data: bytes
    whole: bool = True
    """False: longer than the cap; data is only its beginning."""


def wrap(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return START + data + END + b"\r"


class FrameReader:
    """Frames of one connection, in order.

    `max_bytes` caps a message, `waste_bytes` what is read of a too long one before giving up;
    `idle` seconds may pass before a message begins, `within` seconds until it is complete.
    """

    def __init__(
        self, reader: asyncio.StreamReader, *, max_bytes: int, waste_bytes: int, idle: float, within: float
    ) -> None:
        self._reader = reader
        self._max_bytes = max_bytes
        self._waste_bytes = waste_bytes
        self._idle = idle
        self._within = within
        self._buffer = bytearray()

    async def next(self) -> Frame | None:
        """The next frame; None when the peer closed between two. Raises NotMllp, TimeoutError."""
        while not self._skip_to_start():
            async with asyncio.timeout(self._idle):
                data = await self._reader.read(_BLOCK)
            if not data:
                return None
            self._buffer += data
        async with asyncio.timeout(self._within):
            return await self._finish()

    def next_buffered(self) -> Frame | None:
        """A frame that is already here in full."""
        if not self._skip_to_start():
            return None
        end = self._buffer.find(END)
        return self._take(end) if 0 <= end <= self._max_bytes else None

    def _skip_to_start(self) -> bool:
        position = 0
        while position < len(self._buffer) and self._buffer[position] in _BETWEEN:
            position += 1
        del self._buffer[:position]
        if self._buffer and self._buffer[0] != START[0]:
            raise NotMllp("it does not begin a message with the start byte of MLLP")
        return bool(self._buffer)

    async def _finish(self) -> Frame:
        searched = 0
        while True:
            end = self._buffer.find(END, searched)
            if end >= 0 and end <= self._max_bytes:
                return self._take(end)
            if len(self._buffer) > self._max_bytes:
                return await self._waste()
            searched = len(self._buffer)
            await self._more()

    async def _waste(self) -> Frame:
        head = bytes(self._buffer[1 : 1 + _BLOCK])
        wasted = 0
        while (end := self._buffer.find(END)) < 0:
            wasted += len(self._buffer)
            if wasted > self._waste_bytes:
                raise NotMllp("a message is far longer than allowed")
            self._buffer.clear()
            await self._more()
        del self._buffer[: end + 1]
        return Frame(head, whole=False)

    async def _more(self) -> None:
        data = await self._reader.read(_BLOCK)
        if not data:
            raise NotMllp("the connection ended inside a message")
        self._buffer += data

    def _take(self, end: int) -> Frame:
        data = bytes(self._buffer[1:end])
        del self._buffer[: end + 1]
        return Frame(data)
