"""The side that listens: associations from modalities, archives and anybody who finds the port."""

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from kit.acts import Act, service_of
from kit.dicom.network import associate, commands, contexts, datasets, statuses
from kit.dicom.network.commands import Command
from kit.dicom.network.datasets import COMMITMENT_CLASS, CommitmentReport
from kit.dicom.network.errors import AssociationFailed, PeerReleased, ProtocolError
from kit.dicom.network.messages import (
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    ABORT_BAD_PARAMETER,
    ABORT_UNEXPECTED_PDU,
    ABORT_UNRECOGNIZED_PDU,
    DatasetStream,
    Messages,
    Timeouts,
    end,
    read_pdu_header,
    short_pdu,
)
from kit.dicom.network.statuses import Status
from kit.dicom.network.tls import common_name
from kit.dicom.network.wire import Wire

_log = logging.getLogger(__name__)

_REPORT_LIMIT = 16 * 1024 * 1024
_STOP_GRACE = 10.0


@dataclass(frozen=True)
class Peer:
    """Who calls. An AE title is a claim; address and certificate (common name) are not."""

    calling_ae: str
    called_ae: str
    address: str
    certificate: str | None


@dataclass(frozen=True)
class Rejection:
    """A-ASSOCIATE-RJ: result, source, diagnostic (PS3.8 table 9-21)."""

    result: int
    source: int
    diagnostic: int


UNKNOWN_CALLING_AE = Rejection(1, 1, 3)
UNKNOWN_CALLED_AE = Rejection(1, 1, 7)
CONGESTED = Rejection(2, 3, 1)
_NO_SUCH_CONTEXT = Rejection(1, 1, 2)
_NO_SUCH_VERSION = Rejection(1, 2, 2)
_TOO_MANY = Rejection(2, 3, 2)


@dataclass(frozen=True)
class StoreRequest:
    """A C-STORE request; its data set follows in `transfer_syntax`."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str


class Session(Protocol):
    """What the service behind the server does for one association."""

    stores: bool
    reports: bool

    async def store(self, request: StoreRequest, data: AsyncIterable[bytes]) -> Status:
        """Keep the instance; a success only when it is durable. `data` raises AssociationFailed when
        the peer goes away in the middle: let it pass. What is left unread of it is thrown away."""
        ...

    async def report(self, report: CommitmentReport) -> Status:
        """Keep a storage commitment result; a success only when it is durable."""
        ...

    async def ended(self) -> None:
        """The association is over, in whatever way."""
        ...


Admission = Callable[[Peer], Awaitable[Session | Rejection]]


@dataclass(frozen=True)
class Limits:
    """`dataset` in bytes: a peer that sends more is cut off. A session's own limit lies below it."""

    associations: int = 32
    per_address: int = 16
    dataset: int = 32 * 1024**3


class AssociationServer:
    """Serves Verification, Storage and Storage Commitment results. One instance at a time each."""

    def __init__(
        self,
        host: str,
        port: int,
        admit: Admission,
        *,
        limits: Limits = Limits(),
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._admit = admit
        self._limits = limits
        self._timeouts = timeouts
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._idle: set[asyncio.Task[None]] = set()
        self._by_address: Counter[str] = Counter()
        self._stopping = False

    async def start(self) -> None:
        """Raises OSError when the port can't be had."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Wire("a DICOM peer", self._connected),
            self._host,
            self._port,
            ssl=self._tls,
            ssl_handshake_timeout=self._timeouts.association if self._tls else None,
            backlog=128,
        )

    @property
    def port(self) -> int:
        """The port it listens on (the one given, or the one found when that was 0)."""
        if self._server is None or not self._server.sockets:
            return self._port
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def listening(self) -> bool:
        return self._server is not None and self._server.is_serving()

    @property
    def associations(self) -> int:
        return len(self._running)

    async def stop(self) -> None:
        """Take no more; let instances under way finish for up to 10 s, then abort."""
        self._stopping = True
        if self._server is not None:
            self._server.close()
        for task in list(self._idle):
            task.cancel()
        if self._running:
            _, late = await asyncio.wait(set(self._running), timeout=_STOP_GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # -- one connection

    def _connected(self, wire: Wire) -> None:
        address = _address(wire.info("peername"))
        if self._stopping or len(self._running) >= 4 * self._limits.associations:
            wire.abort()
            return
        wire.name = address or wire.name
        task = asyncio.get_running_loop().create_task(self._serve(wire, address), name="dicom association")
        self._running.add(task)
        self._idle.add(task)
        self._by_address[address] += 1
        task.add_done_callback(lambda done: self._gone(done, address))

    def _gone(self, task: asyncio.Task[None], address: str) -> None:
        self._running.discard(task)
        self._idle.discard(task)
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]

    async def _serve(self, wire: Wire, address: str) -> None:
        with Act("message", service_of(self._admit.__module__), "DICOM association") as act:
            await self._answer(wire, address, act)

    async def _answer(self, wire: Wire, address: str, act: Act) -> None:
        try:
            await self._associate(wire, address)
        except PeerReleased:
            wire.write([short_pdu(A_RELEASE_RP)])
            wire.close()
        except AssociationFailed as error:
            _log.info("DICOM association ended: %s", error)
            act.failed(error)
            end(wire, error)
        except Exception as error:  # noqa: BLE001 - the edge: one association's defect ends that one alone
            _log.exception("DICOM association ended by a defect")
            act.failed(error)
            end(wire, error)
        except BaseException as error:
            end(wire, error)
            raise
        finally:
            await wire.closed()

    async def _associate(self, wire: Wire, address: str) -> None:
        request = await self._request(wire)
        outcome = await self._decide(wire, address, request)
        if isinstance(outcome, Rejection):
            await self._reject(wire, outcome)
            return
        try:
            answers, roles = contexts.negotiate(
                request.offers, request.roles, stores=outcome.stores, reports=outcome.reports
            )
            wire.write([associate.encode_acceptance(request, answers, roles)])
            syntaxes = {offer.id: offer.abstract_syntax for offer in request.offers}
            accepted = {
                answer.id: (syntaxes[answer.id], answer.transfer_syntax)
                for answer in answers
                if answer.result == contexts.ACCEPTED
            }
            messages = Messages(wire, peer_max_pdu=request.max_pdu, timeouts=self._timeouts)
            await self._converse(messages, outcome, accepted)
        finally:
            await outcome.ended()

    async def _request(self, wire: Wire) -> associate.Request:
        kind, length = await read_pdu_header(wire, self._timeouts.association)
        if kind != A_ASSOCIATE_RQ:
            reason = ABORT_UNEXPECTED_PDU if 1 <= kind <= 7 else ABORT_UNRECOGNIZED_PDU
            raise ProtocolError(wire.name, "it did not ask for an association", reason)
        if not 68 <= length <= associate.ASSOCIATION_LIMIT:
            raise ProtocolError(wire.name, "it sent a request of absurd length", ABORT_BAD_PARAMETER)
        body = await wire.read_exactly(length, self._timeouts.association)
        try:
            return associate.decode_request(b"\x01\x00" + length.to_bytes(4, "big") + body)
        except associate.BadAssociation as error:
            raise ProtocolError(wire.name, str(error), ABORT_BAD_PARAMETER) from None

    async def _decide(self, wire: Wire, address: str, request: associate.Request) -> Session | Rejection:
        if request.application_context != associate.APPLICATION_CONTEXT:
            return _NO_SUCH_CONTEXT
        if (
            len(self._running) > self._limits.associations
            or self._by_address[address] > self._limits.per_address
        ):
            return _TOO_MANY
        certificate = common_name(wire.info("peercert"))
        return await self._admit(Peer(request.calling_ae, request.called_ae, address, certificate))

    async def _reject(self, wire: Wire, rejection: Rejection) -> None:
        wire.write([associate.encode_rejection(rejection.result, rejection.source, rejection.diagnostic)])
        _log.info(
            "DICOM association from %s rejected (%d, %d)", wire.name, rejection.source, rejection.diagnostic
        )
        wire.close()

    async def _converse(
        self, messages: Messages, session: Session, accepted: dict[int, tuple[str, str]]
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        while not self._stopping:
            self._idle.add(task)
            try:
                context, command = await messages.command(self._timeouts.idle)
            finally:
                self._idle.discard(task)
            pair = accepted.get(context)
            if pair is None or command.field & commands.RESPONSE:
                raise messages.broken("it sent a message that was not agreed")
            data = messages.dataset(context, self._limits.dataset) if command.has_dataset else None
            status = await self._perform(session, pair, command, data)
            if data is not None:
                await data.drain()
            if status is not None:
                reply = commands.response(command, status.code, status.comment)
                await messages.send(context, reply)
        raise AssociationFailed("this server", "it is stopping")

    async def _perform(
        self, session: Session, pair: tuple[str, str], command: Command, data: DatasetStream | None
    ) -> Status | None:
        field, (sop_class, syntax) = command.field, pair
        if field == commands.C_CANCEL_RQ:
            return None
        try:
            if field == commands.C_ECHO_RQ and sop_class == contexts.VERIFICATION:
                return Status(statuses.SUCCESS)
            if field == commands.C_STORE_RQ and sop_class not in (contexts.VERIFICATION, COMMITMENT_CLASS):
                return await self._store(session, sop_class, syntax, command, data)
            if field == commands.N_EVENT_REPORT_RQ and sop_class == COMMITMENT_CLASS:
                return await self._report(session, syntax, data)
        except (AssociationFailed, PeerReleased):
            raise
        except Exception:  # noqa: BLE001 - the edge: the peer gets an answer whatever went wrong here
            _log.exception("a DICOM request could not be served")
            return Status(statuses.PROCESSING_FAILURE)
        return Status(statuses.UNRECOGNIZED_OPERATION)

    async def _store(
        self, session: Session, sop_class: str, syntax: str, command: Command, data: DatasetStream | None
    ) -> Status:
        named = command.text(commands.AFFECTED_CLASS)
        instance = command.text(commands.AFFECTED_INSTANCE)
        if named and named != sop_class:
            return Status(statuses.SOP_CLASS_NOT_SUPPORTED, "not the class of this context")
        if not contexts.UID_FORM.fullmatch(instance):
            return Status(statuses.INVALID_INSTANCE, "the SOP Instance UID is not valid")
        if data is None:
            return Status(statuses.CANNOT_UNDERSTAND, "no data set came")
        return await session.store(StoreRequest(sop_class, instance, syntax), data)

    async def _report(self, session: Session, syntax: str, data: DatasetStream | None) -> Status:
        content = bytearray()
        if data is not None:
            async for chunk in data:
                content += chunk
                if len(content) > _REPORT_LIMIT:
                    return Status(statuses.PROCESSING_FAILURE, "the report is too long")
        try:
            report = await asyncio.to_thread(datasets.read_report, bytes(content), syntax)
        except datasets.BadDataset:
            return Status(statuses.PROCESSING_FAILURE, "the report can't be read")
        return await session.report(report)


def _address(peername: object) -> str:
    """The IP address, IPv4 ones plain even on a dual-stack socket, without a zone."""
    if not isinstance(peername, tuple) or not peername:
        return ""
    return str(peername[0]).removeprefix("::ffff:").partition("%")[0]
