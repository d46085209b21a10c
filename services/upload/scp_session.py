"""What the DICOM door does for one association: instances into the spool, reports onto the bus."""

import hashlib
import logging
from collections.abc import AsyncIterable, AsyncIterator

from kit.bus.port import Bus
from kit.clock import Clock
from kit.dicom.meta import build_meta
from kit.dicom.network import AssociationFailed, CommitmentReport, Peer, Status, StoreRequest, statuses
from kit.errors import NoSpace, Refused, TooLarge, TransientError
from kit.metrics import RECEIVED_BYTES
from schemas.shapes import Sender
from schemas.upload import CommitmentReported
from services.upload.scp_peers import Recheck
from services.upload.sessions import Sessions

_log = logging.getLogger(__name__)


class _NothingCame(Exception):
    """A data set of no bytes."""


class ScpSession:
    """`sender` None: this peer may report, but not store."""

    def __init__(
        self,
        peer: Peer,
        sender: Sender | None,
        recheck: Recheck | None,
        *,
        reports: bool,
        sessions: Sessions,
        bus: Bus,
        clock: Clock,
    ) -> None:
        self.stores = sender is not None
        self.reports = reports
        self._peer = peer
        self._sender = sender
        self._recheck = recheck
        self._sessions = sessions
        self._bus = bus
        self._clock = clock
        self._no_space = 0

    async def store(self, request: StoreRequest, data: AsyncIterable[bytes]) -> Status:
        """Success once the instance is durable in the spool (PS3.4 B.2.3 for the other answers)."""
        if self._sender is None or self._recheck is None or not await self._recheck.allowed():
            return Status(statuses.NOT_AUTHORIZED, "this sender is not allowed here")
        name = f"{request.sop_instance}.dcm"
        try:
            async with self._sessions.writer(self._sender, self._peer.calling_ae) as writer:
                member = await writer.add(name, _part10(request, self._peer.calling_ae, data))
        except AssociationFailed:
            raise
        except _NothingCame:
            return Status(statuses.CANNOT_UNDERSTAND, "the data set is empty")
        except NoSpace:
            self._no_space += 1
            if self._no_space == 1:
                _log.warning("the DICOM door turns instances away: the receiving disk is full")
            return Status(statuses.OUT_OF_RESOURCES, "the receiving disk is full, send again later")
        except TooLarge:
            return Status(statuses.CANNOT_UNDERSTAND, "the instance is larger than allowed here")
        except TransientError as error:
            _log.warning("the DICOM door turned an instance away: %s", error)
            return Status(statuses.OUT_OF_RESOURCES, "not possible for the moment, send again later")
        except Refused as refusal:
            return Status(statuses.PROCESSING_FAILURE, refusal.code)
        RECEIVED_BYTES.labels("dicom").inc(member.size)
        return Status(statuses.SUCCESS)

    async def report(self, report: CommitmentReport) -> Status:
        """Success once the report is on the bus. The same report twice is one event."""
        if not self.reports or not report.transaction_uid:
            return Status(statuses.PROCESSING_FAILURE, "not a report of this archive")
        content = repr((self._peer.calling_ae, sorted(report.committed), sorted(report.failed)))
        event = CommitmentReported.first(
            time=self._clock(),
            key=report.transaction_uid,
            correlation_id=report.transaction_uid,
            step=hashlib.sha256(content.encode()).hexdigest(),
            transaction_uid=report.transaction_uid,
            committed=report.committed,
            failed=report.failed,
            calling_ae=self._peer.calling_ae,
        )
        try:
            await self._bus.publish([event])
        except TransientError as error:
            _log.warning("a storage commitment report could not be kept: %s", error)
            return Status(statuses.PROCESSING_FAILURE, "not possible for the moment")
        return Status(statuses.SUCCESS)

    async def ended(self) -> None:
        """Batches are the sender's, not the association's: they go on."""
        if self._no_space:
            _log.warning("%s instances were turned away: the receiving disk is full", self._no_space)


async def _part10(request: StoreRequest, calling_ae: str, data: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The instance as a file. Its meta header says what the association and the command said of it."""
    source = calling_ae.encode("ascii", "replace")
    header: bytes | None = build_meta(
        request.sop_class, request.sop_instance, request.transfer_syntax, source
    )
    async for chunk in data:
        if header is not None:
            yield header
            header = None
        yield chunk
    if header is not None:
        raise _NothingCame
