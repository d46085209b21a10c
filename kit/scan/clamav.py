"""ClamAV by clamd's INSTREAM command, for helper processes (it blocks).

Protocol: clamd(8), "INSTREAM" and "IDSESSION": commands end in NUL, each block of the stream goes
as a 32-bit big-endian length and the bytes, a length of zero ends it.
"""

import select
import socket
import struct
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Literal, Self

from kit.errors import Unavailable

_BLOCK = 128 * 1024
_REPLY_MAX = 8192
_CONNECT_S = 5.0
_SEND_S = 30.0
_REPLY_S = 180.0

_NOT_WHOLE = ("size limit exceeded", "time limit reached", "timeout", "maxscan", "maxfile")


@dataclass(frozen=True)
class ClamAddress:
    """Where clamd listens. `max_bytes` is what it is set up to scan whole (its StreamMaxLength,
    MaxFileSize and MaxScanSize): more is never sent, and counts as not scanned whole."""

    host: str
    port: int
    max_bytes: int = 100 * 1024 * 1024


@dataclass(frozen=True)
class Verdict:
    """`text` is the signature's name when infected, the scanner's reason when not scanned whole."""

    kind: Literal["clean", "infected", "not-whole"]
    text: str = ""


CLEAN = Verdict("clean")


class _Broken(Exception):
    """The connection ended; `sent` bytes had gone out."""

    def __init__(self, sent: int) -> None:
        super().__init__(f"connection ended after {sent} bytes")
        self.sent = sent


class ClamScanner:
    """One connection, kept over many files. Not for use by several threads at once."""

    def __init__(self, address: ClamAddress) -> None:
        self._address = address
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def scan(self, file: BinaryIO, size: int) -> Verdict:
        """Scan `size` bytes from the start of the file. Raises Unavailable when clamd is away or busy."""
        if size > self._address.max_bytes:
            return Verdict("not-whole", "larger than the scanner looks at")
        for attempt in (1, 2):
            fresh = self._socket is None
            try:
                return self._scan_once(file, size)
            except _Broken as error:
                self.close()
                if not fresh or attempt == 1:
                    continue
                # It cut a new connection twice. If it is well otherwise, it was the stream it would not take.
                if error.sent > _BLOCK and self.is_well():
                    return Verdict("not-whole", "the scanner cut the stream short")
        raise Unavailable("antivirus", "clamd closes the connection without an answer")

    def is_well(self) -> bool:
        """PING on a connection of its own."""
        try:
            with self._connect() as probe:
                probe.settimeout(_CONNECT_S)
                probe.sendall(b"zPING\0")
                return probe.recv(16).startswith(b"PONG")
        except (OSError, Unavailable):
            return False

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        try:
            connection = socket.create_connection(
                (self._address.host, self._address.port), timeout=_CONNECT_S
            )
        except OSError as error:
            raise Unavailable("antivirus", f"clamd can't be reached ({type(error).__name__})") from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(_SEND_S)
        return connection

    def _session(self) -> socket.socket:
        if self._socket is None:
            self._socket = self._connect()
            try:
                self._socket.sendall(b"zIDSESSION\0")
            except OSError as error:
                raise _Broken(0) from error
        return self._socket

    def _scan_once(self, file: BinaryIO, size: int) -> Verdict:
        connection = self._session()
        file.seek(0)
        sent = 0
        whole = False
        try:
            connection.sendall(b"zINSTREAM\0")
            while sent < size:
                block = file.read(min(_BLOCK, size - sent))
                if not block:
                    break
                if _has_answered(connection):
                    break
                connection.sendall(struct.pack(">I", len(block)) + block)
                sent += len(block)
            else:
                connection.sendall(struct.pack(">I", 0))
                whole = True
        except OSError:
            # clamd may have said why before it closed; the reply is read below.
            pass
        reply = self._reply(connection, sent)
        return self._judge(reply, whole=whole)

    def _reply(self, connection: socket.socket, sent: int) -> str:
        connection.settimeout(_REPLY_S)
        reply = b""
        try:
            while not reply.endswith(b"\0") and len(reply) < _REPLY_MAX:
                data = connection.recv(4096)
                if not data:
                    break
                reply += data
        except TimeoutError as error:
            self.close()
            raise Unavailable("antivirus", f"clamd gave no answer within {_REPLY_S:g} s") from error
        except OSError as error:
            raise _Broken(sent) from error
        finally:
            connection.settimeout(_SEND_S)
        if not reply:
            raise _Broken(sent)
        return reply.rstrip(b"\0").decode("utf-8", "replace")

    def _judge(self, reply: str, *, whole: bool) -> Verdict:
        """`<n>: stream: OK`, `… <signature> FOUND`, or `… ERROR`. An OK counts for what was sent whole."""
        answer = reply.split("stream: ", 1)[-1].strip()
        if answer == "OK" and whole:
            return CLEAN
        if answer.endswith(" FOUND"):
            signature = answer.removesuffix(" FOUND").strip()
            if signature.startswith("Heuristics.Limits.Exceeded"):
                return Verdict("not-whole", signature)
            return Verdict("infected", signature)
        # After an error clamd ends the session.
        self.close()
        if any(words in answer.lower() for words in _NOT_WHOLE):
            return Verdict("not-whole", "larger than the scanner looks at")
        raise Unavailable("antivirus", "clamd answers with an error")


def _has_answered(connection: socket.socket) -> bool:
    """clamd answers in the middle of a stream only when it will not take more of it."""
    return bool(select.select([connection], [], [], 0)[0])
