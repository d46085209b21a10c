"""An MLLP client: one connection, one message at a time, an answer for each."""

import asyncio
import ssl
from types import TracebackType
from typing import Self

from kit.errors import Unavailable
from kit.hl7.ack import Acknowledgement, read_acknowledgement
from kit.hl7.charset import decode
from kit.hl7.message import NotHl7
from kit.hl7.mllp import FrameReader, NotMllp, wrap


class MllpClient:
    """Use as an async context manager. All calls raise Unavailable when the peer can't be reached,
    is too slow or does not speak MLLP."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        timeout: float = 30,
        tls: ssl.SSLContext | None = None,
        max_bytes: int = 1 << 20,
    ) -> None:
        self._host = host
        self._port = port
        self._timeout = timeout
        self._tls = tls
        self._max_bytes = max_bytes
        self._writer: asyncio.StreamWriter | None = None
        self._frames: FrameReader | None = None

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self._timeout):
                reader, self._writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        except OSError as error:
            raise self._away("it can't be reached") from error
        self._frames = FrameReader(
            reader,
            max_bytes=self._max_bytes,
            waste_bytes=self._max_bytes,
            idle=self._timeout,
            within=self._timeout,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()
            try:
                async with asyncio.timeout(5):
                    await self._writer.wait_closed()
            except OSError:
                # The peer was faster; what matters was answered before.
                return

    async def send(self, message: str | bytes) -> Acknowledgement:
        """Send one message and wait for its acknowledgement."""
        return read_answer(await self.exchange(message))

    async def exchange(self, message: str | bytes) -> str:
        """Send one message; the answer as text."""
        if self._writer is None or self._frames is None:
            raise self._away("the connection is not open")
        try:
            async with asyncio.timeout(self._timeout):
                self._writer.write(wrap(message))
                await self._writer.drain()
            frame = await self._frames.next()
        except (OSError, NotMllp) as error:
            raise self._away("it broke off or did not answer in time") from error
        if frame is None:
            raise self._away("it closed the connection without an answer")
        return decode(frame.data)

    def _away(self, reason: str) -> Unavailable:
        return Unavailable(f"HL7 receiver {self._host}:{self._port}", reason)


def read_answer(text: str) -> Acknowledgement:
    """Raises Unavailable when the text is no acknowledgement."""
    try:
        return read_acknowledgement(text)
    except NotHl7 as error:
        raise Unavailable("HL7 receiver", "its answer is not an acknowledgement") from error
