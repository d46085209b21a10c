"""DIMSE messages over one established association: command sets and data sets in P-DATA
(PS3.7 6.3, PS3.8 9.3.5 and annex E). Data sets pass by in chunks, never whole."""

import asyncio
import struct
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Self

from kit.dicom.network import commands
from kit.dicom.network.commands import Command
from kit.dicom.network.errors import Aborted, PeerReleased, PeerSilent, ProtocolError, Rejected
from kit.dicom.network.wire import Buffer, Wire
from kit.saying import say

MAX_PDU = 128 * 1024
"""What we offer, and the largest P-DATA-TF we send to a peer that takes any length."""

_PDU_SLACK = 64
"""Some peers do not count the item headers when they fill a PDU."""
_CHUNK = 256 * 1024
_FLUSH = 512 * 1024

A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ = 1, 2, 3
P_DATA_TF, A_RELEASE_RQ, A_RELEASE_RP, A_ABORT = 4, 5, 6, 7
_SHORT_PDU = struct.Struct(">BBIBBBB")
_PDU_HEADER = struct.Struct(">BBI")
_PDV_HEADER = struct.Struct(">IBB")
_BOTH_HEADERS = struct.Struct(">BBIIBB")
_COMMAND, _LAST = 1, 2

ABORT_UNRECOGNIZED_PDU, ABORT_UNEXPECTED_PDU, ABORT_BAD_PARAMETER = 1, 2, 6

Pieces = Iterable[Buffer] | AsyncIterable[Buffer]


@dataclass(frozen=True)
class Timeouts:
    """Seconds. `minimum_rate` is in bytes a second, over a whole data set once its first
    `progress` seconds are over: a peer that drips is a peer that holds a place."""

    connect: float = 10
    association: float = 30
    idle: float = 300
    response: float = 120
    progress: float = 30
    minimum_rate: int = 1024


def short_pdu(kind: int, third: int = 0, fourth: int = 0) -> bytes:
    """A-RELEASE-RQ, A-RELEASE-RP or A-ABORT (source, reason)."""
    return _SHORT_PDU.pack(kind, 0, 4, 0, 0, third, fourth)


async def read_pdu_header(wire: Wire, timeout: float) -> tuple[int, int]:
    """Type and length of what follows."""
    kind, _, length = _PDU_HEADER.unpack(await wire.read_exactly(6, timeout))
    return kind, length


class Messages:
    """Reads and writes the messages of one association. One reader, one writer at a time."""

    def __init__(self, wire: Wire, *, peer_max_pdu: int, timeouts: Timeouts) -> None:
        self._wire = wire
        self._timeouts = timeouts
        self._pdu_left = 0
        limit = min(peer_max_pdu or MAX_PDU, MAX_PDU)
        self._fragment_limit = max((limit - 6) & ~1, 2)

    # -- receiving

    async def command(self, timeout: float) -> tuple[int, Command]:
        """The next command set and its presentation context.

        Raises PeerReleased, Aborted, PeerSilent (nothing for `timeout` s), ProtocolError.
        """
        content = bytearray()
        context: int | None = None
        while True:
            fragment_context, control, size = await self.fragment(
                self._timeouts.progress if content else timeout
            )
            if not control & _COMMAND or context not in (None, fragment_context):
                raise self.broken("it sent data where a command was due")
            context = fragment_context
            if len(content) + size > commands.COMMAND_LIMIT:
                raise self.broken("it sent a command of absurd length")
            content += await self._wire.read_exactly(size, self._timeouts.progress)
            if control & _LAST:
                break
        try:
            return context, commands.decode(bytes(content))
        except commands.BadCommand:
            raise self.broken("it sent something that is no DICOM command") from None

    def dataset(self, context: int, limit: int) -> "DatasetStream":
        """The data set that follows the command, `limit` bytes at most. Read it to its end (or
        drain it) before the next command."""
        return DatasetStream(self, self._wire, self._timeouts, context, limit)

    async def fragment(self, timeout: float) -> tuple[int, int, int]:
        """Context, control and content size of the next presentation data value."""
        if not self._pdu_left:
            self._pdu_left = await self._open_pdu(timeout)
        length, context, control = _PDV_HEADER.unpack(
            await self._wire.read_exactly(6, self._timeouts.progress)
        )
        if length < 2 or length + 4 > self._pdu_left:
            raise self.broken("it sent an item that does not fit its PDU")
        self._pdu_left -= length + 4
        if 0 < self._pdu_left < 6:
            raise self.broken("it sent a PDU with a rest that is no item")
        return context, control, length - 2

    async def _open_pdu(self, timeout: float) -> int:
        kind, length = await read_pdu_header(self._wire, timeout)
        if kind == P_DATA_TF:
            if not 6 <= length <= MAX_PDU + _PDU_SLACK:
                raise self.broken("it sent a PDU of a length that was not agreed")
            return length
        if kind in (A_RELEASE_RQ, A_RELEASE_RP, A_ABORT):
            if length != 4:
                raise self.broken("it sent a PDU of a wrong length")
            content = await self._wire.read_exactly(4, self._timeouts.progress)
            if kind == A_RELEASE_RQ:
                raise PeerReleased
            if kind == A_ABORT:
                raise Aborted(
                    self._wire.name,
                    say(
                        "aborted", "it aborted the association (%(source)s, %(reason)s)",
                        source=content[2], reason=content[3],
                    ),
                )  # fmt: skip
        known = kind in (A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_RELEASE_RP)
        reason = ABORT_UNEXPECTED_PDU if known else ABORT_UNRECOGNIZED_PDU
        raise ProtocolError(self._wire.name, "it sent a PDU that was not due", reason)

    def broken(self, reason: str) -> ProtocolError:
        return ProtocolError(self._wire.name, reason, ABORT_BAD_PARAMETER)

    # -- sending

    async def send(self, context: int, command: Command, dataset: Pieces | None = None) -> None:
        """Send one message, scattered pieces gathered into PDUs as the peer allows them."""
        queue: list[Buffer] = []
        self._frame(queue, context, _COMMAND, [command.encode()], last=True)
        if dataset is not None:
            await self._send_dataset(queue, context, dataset)
        self._wire.write(queue)
        await self._wire.drain(self._timeouts.progress)

    async def _send_dataset(self, queue: list[Buffer], context: int, dataset: Pieces) -> None:
        """The last fragment must carry the last-fragment bit, so one is always held back. An odd data
        set (a deflated stream) ends in a byte of zero, as PS3.5 A.5 has it."""
        limit = self._fragment_limit
        held: list[Buffer] = []
        size = queued = 0
        async for piece in _each(dataset):
            view = memoryview(piece)
            if view.format != "B":
                view = view.cast("B")
            position, end = 0, len(view)
            while position < end:
                if size == limit:
                    self._frame(queue, context, 0, held, last=False)
                    queued += size
                    held, size = [], 0
                    if queued >= _FLUSH:
                        self._wire.write(queue)
                        await self._wire.drain(self._timeouts.progress)
                        queue.clear()
                        queued = 0
                step = min(limit - size, end - position)
                held.append(view[position : position + step])
                size += step
                position += step
        if size % 2:
            held.append(b"\0")
        self._frame(queue, context, 0, held, last=True)

    def _frame(
        self, queue: list[Buffer], context: int, control: int, content: list[Buffer], *, last: bool
    ) -> None:
        size = sum(map(len, content))
        bits = control | (_LAST if last else 0)
        queue.append(_BOTH_HEADERS.pack(P_DATA_TF, 0, size + 6, size + 2, context, bits))
        queue += content


class DatasetStream:
    """A data set on its way: an async iterator of chunks of at most 256 KiB.

    Raises what Messages.command raises, PeerSilent for a peer that drips, ProtocolError for one
    that sends more than the limit.
    """

    def __init__(self, messages: Messages, wire: Wire, timeouts: Timeouts, context: int, limit: int) -> None:
        self._messages = messages
        self._wire = wire
        self._timeouts = timeouts
        self._context = context
        self._limit = limit
        self._left = 0
        self._last = False
        self._received = 0
        self._clock = asyncio.get_running_loop().time
        self._started = self._clock()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._left:
            if self._last:
                raise StopAsyncIteration
            await self._next_fragment()
        if not self._wire.buffered:
            self._require_rate()
        chunk = await self._wire.read_some(min(self._left, _CHUNK), self._timeouts.progress)
        self._left -= len(chunk)
        self._received += len(chunk)
        return chunk

    async def drain(self) -> None:
        """Read and drop the rest."""
        async for _ in self:
            pass

    async def _next_fragment(self) -> None:
        if not self._wire.buffered:
            self._require_rate()
        context, control, size = await self._messages.fragment(self._timeouts.progress)
        if control & _COMMAND or context != self._context:
            raise self._messages.broken("it sent a command where data was due")
        if self._received + size > self._limit:
            raise self._messages.broken("it sent a data set longer than allowed here")
        self._left, self._last = size, bool(control & _LAST)

    def _require_rate(self) -> None:
        late = self._clock() - self._started - self._timeouts.progress
        if late > 0 and self._received < late * self._timeouts.minimum_rate:
            raise PeerSilent(self._wire.name, say("too-slow", "it sent too slowly"))


def end(wire: Wire, error: BaseException) -> None:
    """End the connection for this reason: tell the peer, unless it was the peer who ended it."""
    if not isinstance(error, Aborted | Rejected):
        reason = error.abort_reason if isinstance(error, ProtocolError) else 0
        wire.write([short_pdu(A_ABORT, 2 if reason else 0, reason)])
    wire.close()


async def _each(pieces: Pieces) -> AsyncIterator[Buffer]:
    if isinstance(pieces, AsyncIterable):
        async for piece in pieces:
            yield piece
    else:
        for piece in pieces:
            yield piece
