"""One TCP or TLS connection: bytes in by large reads into one buffer, bytes out by writelines.

The receive buffer is bounded; when it is full the connection stops reading, so a slow consumer
slows its peer and never fills memory.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from kit.dicom.network.errors import Aborted, PeerSilent
from kit.saying import say

Buffer = bytes | bytearray | memoryview

_CAPACITY = 256 * 1024
_WRITE_HIGH = 512 * 1024
_CLOSE_GRACE = 5.0


class Wire(asyncio.BufferedProtocol):
    """`name` stands for the peer in errors: an address or a destination, no content."""

    def __init__(self, name: str = "peer", connected: Callable[["Wire"], None] | None = None) -> None:
        self.name = name
        self._connected = connected
        self._buffer = memoryview(bytearray(_CAPACITY))
        self._start = 0
        self._end = 0
        self._transport: asyncio.Transport | None = None
        self._paused_reading = False
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = asyncio.Event()
        self._ended = False
        self._cut_off: asyncio.TimerHandle | None = None

    # -- the event loop calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_WRITE_HIGH)
        if self._connected is not None:
            self._connected(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._start == self._end:
            self._start = self._end = 0
        elif self._start and self._end > _CAPACITY // 2:
            self._compact()
        return self._buffer[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        self._end += nbytes
        if self._end == _CAPACITY and self._start < _CAPACITY // 2:
            self._pause_reading()
        elif self._end == _CAPACITY:
            self._compact()
        self._readable.set()

    def eof_received(self) -> bool:
        self._end_of_input()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._cut_off is not None:
            self._cut_off.cancel()
        self._end_of_input()
        self._writable.set()
        self._closed.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # -- its owner calls these

    @property
    def buffered(self) -> int:
        return self._end - self._start

    async def read_some(self, limit: int, timeout: float) -> bytes:
        """At least one byte, at most `limit`. Raises Aborted at the connection's end, PeerSilent."""
        if self._start == self._end:
            await self._more(timeout)
        size = min(limit, self._end - self._start)
        data = bytes(self._buffer[self._start : self._start + size])
        self._start += size
        self._room_again()
        return data

    async def read_exactly(self, size: int, timeout: float) -> bytes:
        """`timeout` is for all of it. Sizes are capped by the caller before."""
        if not size:
            return b""
        if self._end - self._start >= size:
            return await self.read_some(size, timeout)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        pieces = []
        while size:
            piece = await self.read_some(size, max(0.0, deadline - loop.time()))
            size -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def write(self, pieces: Sequence[Buffer]) -> None:
        """Queue for sending; drain() soon after. Bytes for a lost connection are dropped."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(pieces)

    async def drain(self, timeout: float) -> None:
        """Return when the peer has taken enough. Raises Aborted, PeerSilent."""
        if not self._writable.is_set():
            try:
                async with asyncio.timeout(timeout):
                    await self._writable.wait()
            except TimeoutError:
                raise PeerSilent(self.name, say("stopped-taking", "it stopped taking data")) from None
        if self._ended and not self.buffered:
            raise Aborted(self.name, say("connection-lost", "the connection was lost"))

    def info(self, key: str) -> Any:
        return self._transport.get_extra_info(key) if self._transport is not None else None

    def close(self) -> None:
        """Send what is queued, then close; a peer that takes nothing is cut off after a few seconds."""
        transport = self._transport
        if transport is None:
            return
        transport.close()
        if self._cut_off is None and not self._closed.is_set():
            self._cut_off = asyncio.get_running_loop().call_later(_CLOSE_GRACE, transport.abort)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        """Return when the connection is gone; soon after close() or abort()."""
        await self._closed.wait()

    async def _more(self, timeout: float) -> None:
        if self._ended:
            raise Aborted(self.name, say("connection-lost", "the connection was lost"))
        self._readable.clear()
        try:
            async with asyncio.timeout(timeout):
                await self._readable.wait()
        except TimeoutError:
            raise PeerSilent(self.name, say("silent", "it went silent")) from None
        if self._start == self._end:
            raise Aborted(self.name, say("connection-lost", "the connection was lost"))

    def _compact(self) -> None:
        held = self._end - self._start
        self._buffer[:held] = self._buffer[self._start : self._end]
        self._start, self._end = 0, held

    def _pause_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            self._paused_reading = True

    def _room_again(self) -> None:
        if self._paused_reading and self._end - self._start <= _CAPACITY // 2:
            if self._start == self._end:
                self._start = self._end = 0
            else:
                self._compact()
            self._paused_reading = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def _end_of_input(self) -> None:
        self._ended = True
        self._readable.set()
