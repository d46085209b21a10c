"""An MLLP server: bounded connections, an address list, optional TLS, answers in order."""

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from kit.errors import TransientError
from kit.hl7.mllp import Frame, FrameReader, NotMllp, wrap

_log = logging.getLogger(__name__)

Answer = Callable[[list[Frame]], Awaitable[list[str]]]
"""Takes the frames that are here, in order; returns the answers to send, in order, once all is
durable. TransientError: nothing is answered and the connection closes, so that the peer
sends again."""


@dataclass(frozen=True)
class Limits:
    max_bytes: int = 4 << 20
    waste_bytes: int = 256 << 20
    connections: int = 64
    in_flight: int = 64
    """Messages of one connection that are taken together when they are already here."""
    idle_s: float = 86_400
    within_s: float = 30
    write_s: float = 30


class MllpServer:
    def __init__(
        self,
        answer: Answer,
        *,
        allow: Sequence[str] = (),
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`allow`: addresses and networks that may connect; empty means everybody."""
        self._answer = answer
        self._allow = [ipaddress.ip_network(network, strict=False) for network in allow]
        self._limits = limits or Limits()
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Raises OSError when the port is taken."""
        self._server = await asyncio.start_server(self._connected, host, port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Take nothing more; what is being stored is stored and answered, for up to 5 s."""
        if self._server is None:
            return
        self._server.close()
        for task in self._connections - self._busy:
            task.cancel()
        if self._busy:
            await asyncio.wait(self._busy, timeout=5)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._server = None

    @property
    def connections(self) -> int:
        return len(self._connections)

    @property
    def listening(self) -> bool:
        return self._server is not None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        _keep_alive(writer)
        peer = writer.get_extra_info("peername")
        address = str(peer[0]) if peer else "?"
        try:
            if not self._allowed(address):
                _log.warning("HL7 connection from %s refused: the address is not in the allow list", address)
            elif len(self._connections) >= self._limits.connections:
                _log.warning("HL7 connection from %s refused: too many connections", address)
            elif task is not None:
                self._connections.add(task)
                await self._serve(task, reader, writer)
        except (NotMllp, TransientError) as error:
            _log.warning("HL7 connection from %s closed: %s", address, error)
        except TimeoutError:
            _log.warning("HL7 connection from %s closed: it was too slow", address)
        except OSError as error:  # of the connection alone: reset, no route any more, TLS
            _log.info("HL7 connection from %s ended: %s", address, type(error).__name__)
        except asyncio.CancelledError:
            # The server is stopping; the task has nothing left to do.
            _log.debug("HL7 connection from %s closed at shutdown", address)
        finally:
            if task is not None:
                self._connections.discard(task)
                self._busy.discard(task)
            writer.close()

    async def _serve(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        limits = self._limits
        frames = FrameReader(
            reader,
            max_bytes=limits.max_bytes,
            waste_bytes=limits.waste_bytes,
            idle=limits.idle_s,
            within=limits.within_s,
        )
        while self._server is not None and self._server.is_serving():
            first = await frames.next()
            if first is None:
                return
            self._busy.add(task)
            taken = [first]
            size = len(first.data)
            broken: NotMllp | None = None
            try:
                while len(taken) < limits.in_flight and size < limits.max_bytes:
                    more = frames.next_buffered()
                    if more is None:
                        break
                    taken.append(more)
                    size += len(more.data)
            except NotMllp as error:
                # What came before the garbage is still stored and answered.
                broken = error
            answers = await self._answer(taken)
            async with asyncio.timeout(limits.write_s):
                writer.write(b"".join(wrap(answer) for answer in answers))
                await writer.drain()
            self._busy.discard(task)
            if broken is not None:
                raise broken

    def _allowed(self, address: str) -> bool:
        if not self._allow:
            return True
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self._allow)


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """A peer that vanished without a word is noticed within some minutes, however long feeds are quiet."""
    raw = writer.get_extra_info("socket")
    if raw is None:
        return
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 6)):
        if hasattr(socket, name):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
