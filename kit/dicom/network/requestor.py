"""The side that calls: an association to a PACS, and what is asked on it (PS3.7, PS3.8).

One operation at a time (the default window of PS3.7 D.3.3.3). Every wait has a timeout.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

from pydicom.dataset import Dataset

from kit.dicom.network import associate, commands, datasets, statuses
from kit.dicom.network.associate import Context
from kit.dicom.network.commands import Command
from kit.dicom.network.connecting import answer, connect
from kit.dicom.network.contexts import EXPLICIT_LITTLE, IMPLICIT_LITTLE, VERIFICATION
from kit.dicom.network.datasets import COMMITMENT_CLASS, COMMITMENT_INSTANCE, CommitmentReport
from kit.dicom.network.errors import (
    Aborted,
    AssociationFailed,
    NotNegotiated,
    PeerReleased,
    ProtocolError,
)
from kit.dicom.network.messages import (
    A_ABORT,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    Messages,
    Pieces,
    Timeouts,
    end,
    read_pdu_header,
    short_pdu,
)
from kit.dicom.network.statuses import Family, Status
from kit.dicom.network.wire import Wire
from kit.saying import say

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
PLAIN = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)
"""The transfer syntaxes to propose for everything but images."""

_ANSWER_LIMIT = 16 * 1024 * 1024
_NOT_HANDLED = Status(statuses.PROCESSING_FAILURE)

ReportHandler = Callable[[CommitmentReport], Awaitable[Status]]
"""Keeps a report durably, then returns the status to answer it with."""


class Association:
    """An established association. Use it as an async context manager: leaving it in order releases,
    leaving it by an error aborts."""

    def __init__(
        self,
        wire: Wire,
        messages: Messages,
        accepted: dict[int, tuple[str, str]],
        timeouts: Timeouts,
        on_report: ReportHandler | None,
    ) -> None:
        self._wire = wire
        self._messages = messages
        self._timeouts = timeouts
        self._on_report = on_report
        self._syntaxes = accepted
        self._contexts = {pair: number for number, pair in reversed(accepted.items())}
        self._last_message = 0
        self._open = True

    @classmethod
    async def request(
        cls,
        host: str,
        port: int,
        *,
        called_ae: str,
        calling_ae: str,
        contexts: Sequence[Context],
        tls: ssl.SSLContext | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        on_report: ReportHandler | None = None,
    ) -> Self:
        """Connect and associate; at most 128 contexts, one SOP class each.

        `on_report` takes storage commitment results the peer sends on this association; without it
        they are answered with a failure, and the peer reports again to the DICOM door.
        Raises Unreachable, Rejected, Aborted, PeerSilent, ProtocolError, ValueError (AE titles).
        """
        if not 1 <= len(contexts) <= associate.CONTEXT_LIMIT:
            raise ValueError("an association takes 1 to 128 presentation contexts")
        pdu = associate.encode_request(called_ae, calling_ae, contexts)
        name = f"{called_ae} {host}:{port}"
        wire = await connect(name, host, port, tls, timeouts.connect)
        try:
            wire.write([pdu])
            acceptance = await answer(wire, timeouts)
        except Exception as error:
            end(wire, error)
            await wire.closed()
            raise
        except BaseException:
            wire.abort()
            raise
        accepted = {
            answer.id: (contexts[answer.id // 2].abstract_syntax, answer.transfer_syntax)
            for answer in acceptance.answers
            if answer.result == 0
            and answer.id % 2
            and answer.id // 2 < len(contexts)
            and answer.transfer_syntax in contexts[answer.id // 2].transfer_syntaxes
        }
        messages = Messages(wire, peer_max_pdu=acceptance.max_pdu, timeouts=timeouts)
        return cls(wire, messages, accepted, timeouts, on_report)

    @property
    def open(self) -> bool:
        return self._open

    @property
    def accepted(self) -> frozenset[tuple[str, str]]:
        """(SOP class, transfer syntax) pairs the peer accepted."""
        return frozenset(self._contexts)

    def accepts(self, sop_class: str, transfer_syntax: str) -> bool:
        return (sop_class, transfer_syntax) in self._contexts

    def syntaxes(self, sop_class: str) -> tuple[str, ...]:
        """Transfer syntaxes accepted for this SOP class, in the order proposed."""
        return tuple(dict.fromkeys(syntax for uid, syntax in self._syntaxes.values() if uid == sop_class))

    async def c_echo(self) -> Status:
        """PS3.7 9.1.5. Needs a context of VERIFICATION."""
        context, _ = self._context_of(VERIFICATION)
        elements = {commands.AFFECTED_CLASS: VERIFICATION}
        _, answer = await self._ask(context, commands.C_ECHO_RQ, elements)
        return _status(answer)

    async def c_store(
        self,
        sop_class: str,
        sop_instance: str,
        transfer_syntax: str,
        pieces: Pieces,
        *,
        move_originator: tuple[str, int] | None = None,
    ) -> Status:
        """Send one instance (PS3.7 9.1.1). `pieces` are the data set's bytes in that transfer syntax,
        without preamble and meta header; they must stay unchanged until this returns.

        Whatever goes wrong while `pieces` are produced aborts the association and is raised.
        Raises NotNegotiated (the association stands) and AssociationFailed (it does not).
        """
        context = self._contexts.get((sop_class, transfer_syntax))
        if context is None:
            raise NotNegotiated(
                self._wire.name,
                say("encoding-not-taken", "it does not take this kind of image in this encoding"),
            )
        elements: dict[int, int | str] = {
            commands.AFFECTED_CLASS: sop_class,
            commands.PRIORITY: 0,
            commands.AFFECTED_INSTANCE: sop_instance,
        }
        if move_originator is not None:
            elements[commands.MOVE_ORIGINATOR], elements[commands.MOVE_ORIGINATOR_ID] = move_originator
        _, answer = await self._ask(context, commands.C_STORE_RQ, elements, pieces)
        return _status(answer)

    async def c_find(self, model: str, identifier: Dataset) -> AsyncGenerator[Dataset, None]:
        """Matches one by one (PS3.7 9.1.2). An answer of failure raises QueryFailed after them.

        Leaving the loop early aborts the association: use contextlib.aclosing then.
        """
        context, syntax = self._context_of(model)
        data = datasets.encode(identifier, syntax)
        elements: dict[int, int | str] = {commands.AFFECTED_CLASS: model, commands.PRIORITY: 0}
        finished = False
        try:
            number = await self._send(context, commands.C_FIND_RQ, elements, [data])
            while not finished:
                answer, content = await self._response(number)
                status = _status(answer)
                if status.family is not Family.PENDING:
                    finished = True
                    if not status.ok:
                        raise QueryFailed(self._wire.name, status)
                elif content is not None:
                    yield self._decoded(content, syntax)
        finally:
            if not finished:
                self.abort()

    async def n_action_commit(self, transaction_uid: str, references: Iterable[tuple[str, str]]) -> Status:
        """Ask for storage commitment of (SOP class, SOP instance) pairs (PS3.4 J.3.2). Success means
        the peer will report later, here or to the DICOM door."""
        context, syntax = self._context_of(COMMITMENT_CLASS)
        data = datasets.encode(datasets.commitment_request(transaction_uid, references), syntax)
        elements: dict[int, int | str] = {
            commands.REQUESTED_CLASS: COMMITMENT_CLASS,
            commands.REQUESTED_INSTANCE: COMMITMENT_INSTANCE,
            commands.ACTION_TYPE: 1,
        }
        _, answer = await self._ask(context, commands.N_ACTION_RQ, elements, [data])
        return _status(answer)

    async def wait_report(self, timeout: float) -> bool:
        """Wait for one N-EVENT-REPORT on this association; it went to `on_report` when True."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    try:
                        context, command = await self._messages.command(timeout + 1)
                    except PeerReleased:
                        self._released_by_peer()
                        return False
                    if await self._take_report(context, command):
                        return True
        except TimeoutError:
            return False
        except AssociationFailed as error:
            self._fail(error)
            raise

    async def release(self) -> None:
        """Orderly end (PS3.8 7.2), or wait until the connection of one that ended otherwise is gone.
        Never raises: what was answered is answered."""
        if not self._open:
            await self._wire.closed()
            return
        self._open = False
        try:
            self._wire.write([short_pdu(A_RELEASE_RQ)])
            async with asyncio.timeout(self._timeouts.association):
                await self._release_answer()
        except (AssociationFailed, TimeoutError):
            pass
        finally:
            self._wire.close()
        await self._wire.closed()

    def abort(self) -> None:
        if self._open:
            self._open = False
            self._wire.write([short_pdu(A_ABORT)])
            self._wire.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.release()
        else:
            self.abort()
            await self._wire.closed()

    # -- one operation

    async def _ask(
        self,
        context: int,
        field: int,
        elements: dict[int, int | str] | dict[int, str],
        dataset: Pieces | None = None,
    ) -> tuple[int, Command]:
        try:
            number = await self._send(context, field, elements, dataset)
            answer, _ = await self._response(number)
        except BaseException as error:
            self._fail(error)
            raise
        return number, answer

    async def _send(
        self,
        context: int,
        field: int,
        elements: dict[int, int | str] | dict[int, str],
        dataset: Pieces | None,
    ) -> int:
        if not self._open:
            raise Aborted(self._wire.name, say("association-ended", "the association has ended"))
        self._last_message = self._last_message % 0xFFFF + 1
        command = commands.request(field, self._last_message, dict(elements), dataset=dataset is not None)
        await self._messages.send(context, command, dataset)
        return self._last_message

    async def _response(self, number: int) -> tuple[Command, tuple[int, bytes] | None]:
        while True:
            try:
                context, command = await self._messages.command(self._timeouts.response)
            except PeerReleased:
                self._released_by_peer()
                raise Aborted(
                    self._wire.name,
                    say("released-unanswered", "it released the association without an answer"),
                ) from None
            if command.field & commands.RESPONSE:
                if command.responded_to != number:
                    raise ProtocolError(self._wire.name, "it answered something that was not asked")
                content = await self._content(context) if command.has_dataset else None
                return command, (context, content) if content is not None else None
            await self._take_report(context, command)

    async def _take_report(self, context: int, command: Command) -> bool:
        """A request by the peer. True when it was a report that was handed on."""
        if command.field == commands.C_CANCEL_RQ or command.field & commands.RESPONSE:
            raise ProtocolError(self._wire.name, "it sent a message that was not due")
        content = await self._content(context) if command.has_dataset else b""
        status, taken = Status(statuses.UNRECOGNIZED_OPERATION), False
        if command.field == commands.N_EVENT_REPORT_RQ:
            status = _NOT_HANDLED
            pair = self._syntaxes.get(context)
            if self._on_report is not None and pair is not None and pair[0] == COMMITMENT_CLASS:
                try:
                    report = await asyncio.to_thread(datasets.read_report, content, pair[1])
                except datasets.BadDataset:
                    status = Status(statuses.PROCESSING_FAILURE, "the report can't be read")
                else:
                    status = await self._on_report(report)
                    taken = status.ok
        await self._messages.send(context, commands.response(command, status.code, status.comment))
        return taken

    async def _content(self, context: int) -> bytes:
        chunks = [chunk async for chunk in self._messages.dataset(context, _ANSWER_LIMIT)]
        return b"".join(chunks)

    def _decoded(self, content: tuple[int, bytes], syntax: str) -> Dataset:
        try:
            return datasets.decode(content[1], syntax)
        except datasets.BadDataset:
            raise ProtocolError(self._wire.name, "it answered a query with something unreadable") from None

    def _context_of(self, sop_class: str) -> tuple[int, str]:
        for number, (uid, syntax) in self._syntaxes.items():
            if uid == sop_class:
                return number, syntax
        raise NotNegotiated(self._wire.name, say("service-not-offered", "it does not offer this service"))

    async def _release_answer(self) -> None:
        """What the peer still says before it is thrown away."""
        while True:
            kind, length = await read_pdu_header(self._wire, self._timeouts.association)
            if kind in (A_RELEASE_RP, A_ABORT):
                return
            if kind == A_RELEASE_RQ:
                self._wire.write([short_pdu(A_RELEASE_RP)])
            await self._skip(length)

    async def _skip(self, length: int) -> None:
        while length:
            length -= len(await self._wire.read_some(length, self._timeouts.association))

    def _released_by_peer(self) -> None:
        self._open = False
        self._wire.write([short_pdu(A_RELEASE_RP)])
        self._wire.close()

    def _fail(self, error: BaseException) -> None:
        if self._open:
            self._open = False
            end(self._wire, error)


class QueryFailed(AssociationFailed):
    """The peer answered a query with a failure; the association stands."""

    def __init__(self, neighbour: str, status: Status) -> None:
        super().__init__(
            neighbour, say("query-failed", "it could not answer the query: %(status)s", status=str(status))
        )
        self.status = status


def _status(answer: Command) -> Status:
    code = answer.number(commands.STATUS)
    return Status(statuses.PROCESSING_FAILURE if code is None else code, answer.text(commands.ERROR_COMMENT))
