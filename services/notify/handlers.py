"""One function an event: each takes what was heard into one document and saves it once."""

import math
from collections.abc import Sequence

from kit.ids import derived_id
from schemas.envelope import Event
from schemas.forward import DestinationAway, DestinationBack, ForwardFailed, StudyForwarded
from schemas.portal import AccountMailRequested, StudyDecided
from schemas.shapes import Sender
from schemas.upload import SubmissionOpened
from schemas.validate import SubmissionValidated
from services.notify import rules, tasks
from services.notify.models import CONTACTS, NEWS, NOTICES, Contacts, Kind, News, Notice
from services.notify.ports import Ports


async def submission_opened(ports: Ports, event: SubmissionOpened) -> None:
    """Remember whom the submission concerns."""

    def edit(contacts: Contacts | None) -> tuple[Contacts, Sequence[Event]] | None:
        if contacts is not None and contacts.has_seen(event):
            return None
        version, causes = (contacts.version, contacts.causes) if contacts else (0, [])
        fresh = Contacts(
            id=event.submission_id, sender=event.sender, recipients=list(event.recipients), causes=causes
        )
        fresh.version = version
        fresh.remember(event)
        return fresh, ()

    await ports.change(CONTACTS, event.submission_id, edit)


async def submission_validated(ports: Ports, event: SubmissionValidated) -> None:
    """Problems are told once, and again only when they are others than before."""
    problems = rules.problems(event)
    if problems is None:
        return
    mark = ".".join(str(problems[name]) for name in ("refused", "quarantined", "open_points"))
    await _hear(
        ports,
        event,
        kind=Kind.PROBLEMS,
        about=event.submission_id,
        sender=event.sender,
        submissions=(event.submission_id,),
        mark=mark,
        facts=problems,
    )


async def study_decided(ports: Ports, event: StudyDecided) -> None:
    """An approval is told when the study is in the PACS, not before."""
    kind = {"decline": Kind.DECLINED, "ask-sender": Kind.ASKED}.get(event.decision.action)
    if kind is None:
        return
    await _hear(
        ports,
        event,
        kind=kind,
        about=event.study.id,
        sender=event.study.sender,
        submissions=event.study.submissions,
        mark=event.decision.id,
        facts={},
    )


async def account_mail_requested(ports: Ports, event: AccountMailRequested) -> None:
    """One mail to one person. A link that is over is not sent any more."""
    now = ports.clock()
    if event.expires_at is not None and event.expires_at <= now:
        return
    left = (event.expires_at - event.time).total_seconds() if event.expires_at is not None else 0
    days, minutes = {"days": math.ceil(left / 86_400)}, {"minutes": math.ceil(left / 60)}
    facts = {
        Kind.INVITE: days,
        Kind.SHARE: days,
        Kind.UPLOAD_LINK: days,
        Kind.RESET: minutes,
        Kind.SHARE_CODE: minutes,
    }
    kind = Kind(event.kind)
    notice = Notice(
        id=derived_id("account-mail", event.id),
        kind=kind,
        channel="sms" if event.to.phone and not event.to.email else "email",
        recipient=event.to.email or event.to.phone or "",
        recipient_name=event.to.name,
        language=event.language,
        about="",
        reference="",
        facts=facts.get(kind, {}),
        sealed=event.sealed,
        created_at=now,
        correlation_id=event.correlation_id,
        cause=event.id,
        due_at=now,
    )
    notice.note(now, "made")
    tasks.bar(ports, notice)
    await ports.documents.insert_many(NOTICES, [notice])
    ports.told()


async def study_forwarded(ports: Ports, event: StudyForwarded) -> None:
    """Told once for a decision, however many destinations prove it."""
    await _hear(
        ports,
        event,
        kind=Kind.IN_PACS,
        about=event.study_id,
        sender=event.sender,
        submissions=event.submissions,
        mark=event.decision_id,
        facts={"images": event.instances},
    )


async def forward_failed(ports: Ports, event: ForwardFailed) -> None:
    await _hear(
        ports,
        event,
        kind=Kind.FAILED,
        about=event.study_id,
        sender=event.sender,
        submissions=event.submissions,
        mark=event.id,
        facts={"images": event.instances, "sent": event.sent},
    )


async def destination_away(ports: Ports, event: DestinationAway) -> None:
    await _hear_of_destination(ports, event, Kind.DESTINATION_AWAY, waiting=event.waiting)


async def destination_back(ports: Ports, event: DestinationBack) -> None:
    await _hear_of_destination(ports, event, Kind.DESTINATION_BACK)


async def _hear_of_destination(
    ports: Ports, event: DestinationAway | DestinationBack, kind: Kind, **facts: int
) -> None:
    minutes = math.ceil((event.time - event.since).total_seconds() / 60)
    await _hear(
        ports,
        event,
        kind=kind,
        about=event.destination,
        sender=None,
        submissions=(),
        mark=event.id,
        facts={"minutes": minutes, **facts},
    )


async def _hear(
    ports: Ports,
    event: Event,
    *,
    kind: Kind,
    about: str,
    sender: Sender | None,
    submissions: Sequence[str],
    mark: str,
    facts: dict[str, int],
) -> None:
    def edit(news: News | None) -> tuple[News, Sequence[Event]] | None:
        if news is None:
            news = News(
                id=rules.news_id(kind, about),
                kind=kind,
                about=about,
                sender=sender,
                correlation_id=event.correlation_id,
                cause=event.id,
            )
        if news.has_seen(event):
            return None
        news.remember(event)
        news.sender = sender
        news.correlation_id = event.correlation_id
        rules.take_in(
            news,
            mark=mark,
            cause=event.id,
            facts=facts,
            submissions=submissions,
            now=ports.clock(),
            combine=ports.combine,
            at_most=ports.combine_at_most,
        )
        return news, ()

    await ports.change(NEWS, rules.news_id(kind, about), edit)
    ports.heard()
