"""A DICOM door that takes storage commitment reports and publishes them, as upload does."""

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager

from kit.bus.port import Bus
from kit.dicom.network import AssociationServer, CommitmentReport, Peer, Status, StoreRequest
from schemas.upload import CommitmentReported
from tests.component.forward.studies import NOW


class _Reports:
    stores = False
    reports = True

    def __init__(self, bus: Bus, peer: Peer) -> None:
        self._bus = bus
        self._peer = peer

    async def store(self, request: StoreRequest, data: AsyncIterable[bytes]) -> Status:
        return Status(0x0122)

    async def report(self, report: CommitmentReport) -> Status:
        event = CommitmentReported.first(
            time=NOW,
            key=report.transaction_uid,
            correlation_id="c",
            transaction_uid=report.transaction_uid,
            committed=report.committed,
            failed=report.failed,
            calling_ae=self._peer.calling_ae,
        )
        await self._bus.publish([event])
        return Status(0)

    async def ended(self) -> None:
        pass


@asynccontextmanager
async def report_door(bus: Bus) -> AsyncIterator[int]:
    """Yields the port it listens on."""

    async def admit(peer: Peer) -> _Reports:
        return _Reports(bus, peer)

    server = AssociationServer("127.0.0.1", 0, admit)
    await server.start()
    try:
        yield server.port
    finally:
        await server.stop()
