"""Destinations that speak DICOM: C-STORE, C-ECHO, C-FIND, storage commitment (PS3.4 A, B, C, J)."""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from pydicom.dataset import Dataset

from kit.destinations import Destination
from kit.dicom.network import (
    COMMITMENT_CLASS,
    PLAIN,
    STUDY_ROOT_FIND,
    VERIFICATION,
    Association,
    CommitmentReport,
    Context,
    Family,
    QueryFailed,
    Status,
    Timeouts,
    client_context,
)
from kit.errors import PermanentError, Unavailable
from kit.saying import say
from services.forward.kinds.port import (
    Answer,
    Found,
    Kind,
    Link,
    NotOffered,
    Outgoing,
    Reported,
    Wanted,
    ca_unreadable,
)
from services.forward.rules import contexts
from services.forward.rules.contexts import Pair
from services.forward.rules.proof import Filed
from services.forward.settings import ForwardSettings

PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
_MOST_MATCHES = 200_000
"""A series that claims more instances than this is no answer to believe."""
_REPORT_WAIT_S = 2.0
"""Some archives report on the same association, at once."""

ReportHandler = Callable[[CommitmentReport], Awaitable[Status]]


def _associate(
    destination: Destination,
    offered: Sequence[Context],
    settings: ForwardSettings,
    on_report: ReportHandler | None = None,
) -> Awaitable[Association]:
    """Raises TransientError when it does not come about, PermanentError when settings are wrong."""
    return Association.request(
        destination.host,
        destination.port,
        called_ae=destination.called_ae,
        calling_ae=destination.calling_ae,
        contexts=offered,
        tls=_tls(destination),
        timeouts=Timeouts(
            connect=settings.connect_timeout_s,
            association=settings.answer_timeout_s,
            response=settings.answer_timeout_s,
            progress=settings.answer_timeout_s,
        ),
        on_report=on_report,
    )


def _tls(destination: Destination) -> ssl.SSLContext | None:
    if not destination.tls:
        return None
    try:
        return client_context(Path(destination.tls_ca) if destination.tls_ca else None)
    except (OSError, ssl.SSLError):
        raise PermanentError(ca_unreadable(destination)) from None


@asynccontextmanager
async def _open(
    destination: Destination,
    offered: Sequence[Context],
    settings: ForwardSettings,
    on_report: ReportHandler | None = None,
) -> AsyncIterator[Association]:
    try:
        association = await _associate(destination, offered, settings, on_report)
    except ValueError:
        raise PermanentError(
            say(
                "ae-title-invalid",
                "An AE title of destination %(destination)s is not valid. "
                "Correct the destination's settings, then retry.",
                destination=destination.id,
            )
        ) from None
    async with association:
        yield association


class _StoreLink:
    def __init__(self, association: Association) -> None:
        self._association = association

    def syntax_for(self, sop_class: str, stored: str) -> str | None:
        return contexts.syntax_to_send(stored, set(self._association.syntaxes(sop_class)))

    async def store(self, items: AsyncIterator[Outgoing]) -> AsyncGenerator[Answer, None]:
        async for item in items:
            status = await self._association.c_store(
                item.sop_class, item.sop_instance, item.transfer_syntax, item.dataset()
            )
            yield Answer(item, status.code)


@asynccontextmanager
async def connect(
    destination: Destination, pairs: Sequence[Pair], settings: ForwardSettings
) -> AsyncIterator[Link]:
    (offered,) = contexts.offers(pairs)
    async with _open(destination, [Context(*offer) for offer in offered], settings) as association:
        yield _StoreLink(association)


def groups(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """The pairs of one association after another."""
    wanted = set(pairs)
    return [
        sorted({(sop_class, syntax) for sop_class, (syntax,) in offered} & wanted)
        for offered in contexts.offers(pairs)
    ]


async def echo(destination: Destination, settings: ForwardSettings) -> None:
    async with _open(destination, [Context(VERIFICATION, PLAIN)], settings) as association:
        if not association.syntaxes(VERIFICATION):
            raise Unavailable(
                destination.id,
                say("no-verification", "it answers, but does not offer verification (C-ECHO)"),
            )
        status = await association.c_echo()
        if not status.ok:
            raise Unavailable(
                destination.id,
                say("echo-failed", "it answered C-ECHO with a failure: %(status)s", status=str(status)),
            )


async def find(destination: Destination, wanted: Wanted, settings: ForwardSettings) -> Found:
    """IMAGE-level queries by the unique keys, a series at a time (PS3.4 C.4.1.2.1)."""
    models = (STUDY_ROOT_FIND, PATIENT_ROOT_FIND)
    # Verification beside it: some refuse an association of which they support nothing.
    offered = [*(Context(model, PLAIN) for model in models), Context(VERIFICATION, PLAIN)]
    found: Found = {}
    async with _open(destination, offered, settings) as association:
        model = next((model for model in models if association.syntaxes(model)), None)
        if model is None:
            raise NotOffered(say("no-queries", "it offers no queries"))
        for series, instances in wanted.series.items():
            try:
                found.update(await _find_series(association, model, wanted, series, instances))
            except QueryFailed as error:
                if error.status.family is Family.REFUSED:
                    raise
                raise NotOffered(
                    say(
                        "no-image-queries",
                        "it can't answer a query for images: %(status)s",
                        status=error.status.name,
                    )
                ) from None
    return found


async def _find_series(
    association: Association, model: str, wanted: Wanted, series: str, instances: set[str]
) -> Found:
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.PatientID = wanted.patient_id if model == PATIENT_ROOT_FIND else ""
    # Above the level of images, so archives may leave it empty; many don't.
    query.AccessionNumber = ""
    query.StudyInstanceUID = wanted.study_instance_uid
    query.SeriesInstanceUID = series
    # One instance is asked for by name; of several it is quicker to hear the whole series.
    query.SOPInstanceUID = next(iter(instances)) if len(instances) == 1 else ""
    found: Found = {}
    count = 0
    async with aclosing(association.c_find(model, query)) as matches:
        async for match in matches:
            uid = str(match.get("SOPInstanceUID", ""))
            if uid in instances:
                filed = Filed(str(match.get("PatientID") or ""), str(match.get("AccessionNumber") or ""))
                found.setdefault(uid, set()).add(filed)
            count += 1
            if count > _MOST_MATCHES:
                raise Unavailable(
                    "query",
                    say("too-many-answers", "it answers with more images than a series can have"),
                )
    return found


async def commit(
    destination: Destination,
    transactions: Sequence[tuple[str, Sequence[tuple[str, str]]]],
    settings: ForwardSettings,
    before: Callable[[], Awaitable[None]],
    keep: Callable[[Reported], Awaitable[None]],
) -> None:
    """N-ACTION for each transaction; the reports come here at once or to the DICOM door later."""

    async def on_report(report: CommitmentReport) -> Status:
        await keep(Reported(report.transaction_uid, report.committed, report.failed))
        return Status(0)

    offered = [Context(COMMITMENT_CLASS, PLAIN), Context(VERIFICATION, PLAIN)]
    async with _open(destination, offered, settings, on_report) as association:
        if not association.syntaxes(COMMITMENT_CLASS):
            raise NotOffered(say("no-commitment-service", "it does not offer storage commitment"))
        await before()
        for transaction, references in transactions:
            status = await association.n_action_commit(transaction, references)
            if not status.ok:
                raise NotOffered(
                    say("commit-refused", "it refused to commit: %(status)s", status=status.name)
                )
        for _ in transactions:
            if not association.open or not await association.wait_report(_REPORT_WAIT_S):
                break


DICOM = Kind(groups=groups, connect=connect, find=find, echo=echo, commit=commit)
