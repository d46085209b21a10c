"""A DICOM peer on bare asyncio streams, for saying what no proper peer would say; and a recording
service behind the server under test."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterable
from dataclasses import dataclass, field

from kit.dicom.network import (
    EXPLICIT_LITTLE,
    VERIFICATION,
    AssociationFailed,
    CommitmentReport,
    Context,
    Peer,
    Rejection,
    Status,
    StoreRequest,
    associate,
    commands,
)

SUCCESS = Status(0)
CT = "1.2.840.10008.5.1.4.1.1.2"


@dataclass
class Recorder:
    """A session that keeps everything in memory, for all associations alike."""

    stores: bool = True
    reports: bool = True
    answer: Status = SUCCESS
    peers: list[Peer] = field(default_factory=list)
    received: list[tuple[StoreRequest, bytes]] = field(default_factory=list)
    broken: list[StoreRequest] = field(default_factory=list)
    reported: list[CommitmentReport] = field(default_factory=list)
    over: int = 0
    rejection: Rejection | None = None

    async def admit(self, peer: Peer) -> "Recorder | Rejection":
        self.peers.append(peer)
        return self.rejection or self

    async def store(self, request: StoreRequest, data: AsyncIterable[bytes]) -> Status:
        content = bytearray()
        try:
            async for chunk in data:
                content += chunk
        except AssociationFailed:
            self.broken.append(request)
            raise
        self.received.append((request, bytes(content)))
        return self.answer

    async def report(self, report: CommitmentReport) -> Status:
        self.reported.append(report)
        return self.answer

    async def ended(self) -> None:
        self.over += 1


class RawPeer:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> "RawPeer":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    @classmethod
    async def associated(cls, port: int) -> "RawPeer":
        """With context 1 for CT and 3 for Verification, Explicit VR Little Endian."""
        peer = await cls.connect(port)
        peer.send(request_pdu())
        kind, _ = await peer.pdu()
        assert kind == 2, f"answered by PDU {kind}"
        return peer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def pdu(self) -> tuple[int, bytes]:
        async with asyncio.timeout(20):
            header = await self.reader.readexactly(6)
            return header[0], await self.reader.readexactly(int.from_bytes(header[2:], "big"))

    async def response(self) -> commands.Command:
        kind, body = await self.pdu()
        assert kind == 4, f"answered by PDU {kind}"
        return commands.decode(body[6:])

    async def end(self) -> bytes:
        """Everything until the server closes the connection."""
        async with asyncio.timeout(20):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


def request_pdu() -> bytes:
    contexts = [Context(CT, (EXPLICIT_LITTLE,)), Context(VERIFICATION, (EXPLICIT_LITTLE,))]
    return associate.encode_request("ANTEROOM", "SENDER", contexts)


def data_pdu(context: int, control: int, content: bytes) -> bytes:
    return struct.pack(">BBIIBB", 4, 0, len(content) + 6, len(content) + 2, context, control) + content


def store_command(
    instance: str = "1.2.3", *, sop_class: str = CT, message: int = 1, dataset: bool = True
) -> bytes:
    elements: dict[int, int | str] = {
        commands.AFFECTED_CLASS: sop_class,
        commands.AFFECTED_INSTANCE: instance,
        commands.PRIORITY: 0,
    }
    return data_pdu(1, 3, commands.request(commands.C_STORE_RQ, message, elements, dataset=dataset).encode())


def echo_command(message: int = 1) -> bytes:
    elements: dict[int, int | str] = {commands.AFFECTED_CLASS: VERIFICATION}
    return data_pdu(3, 3, commands.request(commands.C_ECHO_RQ, message, elements, dataset=False).encode())


RELEASE = b"\x05\0\0\0\0\4\0\0\0\0"
ABORT = b"\x07\0\0\0\0\4\0\0\0\0"
