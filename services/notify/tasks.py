"""News into notices, and notices onto the wire."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from kit.errors import PermanentError, TransientError, Uncertain
from kit.identity import Role
from kit.metrics import NOTICES as NOTICES_ENDED
from kit.saying import as_said, say
from schemas.envelope import Event
from schemas.notify import NoticeSent
from schemas.shapes import Person
from services.notify import digests, messages, rules
from services.notify.endings import fail
from services.notify.models import (
    ABOUT_ACCOUNTS,
    ABOUT_DESTINATIONS,
    CONTACTS,
    NEWS,
    NOTICES,
    Channel,
    News,
    Notice,
    State,
)
from services.notify.ports import Ports

_log = logging.getLogger(__name__)

_WAIT_FOR_CONTACTS = 4
"""Tries before news is told to those who are known: a submission's opening may be heard of late."""
_LOOK_FOR_CONTACTS = 11
"""Tries, over hours, in which the recipients of such a submission are told after all."""
_AGAIN_S = 1.0


async def tell(ports: Ports, news: News) -> None:
    """Make this round's notices, one per recipient and channel. Doing it again finds them made."""
    now = ports.clock()
    heard = news.heard
    people, all_known = await _people(ports, news)
    notices: list[Notice] = []
    for kind, audience in rules.audiences(news.kind):
        found = rules.addresses(people[audience])
        if not found and audience == "staff":
            found = [rules.Address("email", "", "", ports.settings.language)]
        for address in found:
            notice = Notice(
                id=rules.notice_id(news, kind, address.channel, address.recipient),
                kind=kind,
                channel=address.channel,
                recipient=address.recipient,
                recipient_name=address.name,
                language=address.language,
                about="" if news.kind in ABOUT_DESTINATIONS else news.about,
                reference=_reference(news, audience),
                facts=news.facts,
                created_at=now,
                correlation_id=news.correlation_id,
                cause=news.cause,
                due_at=now,
            )
            notice.note(now, "made")
            bar(ports, notice)
            notices.append(notice)
    # The sender may be a recipient too: its ids are the same, and the first one stays.
    await ports.documents.insert_many(NOTICES, notices)
    if not all_known and news.attempts < _LOOK_FOR_CONTACTS:
        ports.told()
        raise TransientError("not all whom it concerns are known yet")

    def settle(fresh: News | None) -> tuple[News, Sequence[Event]] | None:
        if fresh is None or fresh.round != news.round:
            return None
        fresh.told = heard
        fresh.lease_until = None
        fresh.attempts = 0
        fresh.last_error = ""
        if fresh.heard > heard:
            # More was heard while the notices were made: a round of its own.
            fresh.round += 1
            fresh.round_began = now
            fresh.due_at = rules.due(fresh, now, ports.combine, ports.combine_at_most)
        else:
            fresh.due_at = None
        return fresh, ()

    await ports.change(NEWS, news.id, settle)
    ports.told()


async def give_up_telling(ports: Ports, news: News, reason: str) -> None:
    _log.error("news %s of kind %s could not be told: %s", news.id, news.kind, reason)
    news.due_at = None
    news.lease_until = None
    await ports.documents.save(NEWS, news)


def _reference(news: News, audience: rules.Audience) -> str:
    if news.kind in ABOUT_DESTINATIONS:
        return news.about
    return rules.reference(news.submissions[-1] if news.submissions and audience != "staff" else news.about)


async def _people(ports: Ports, news: News) -> tuple[dict[rules.Audience, list[tuple[Person, str]]], bool]:
    """Whom it concerns, and whether these are all."""
    recipients: list[tuple[Person, str]] = []
    all_known = True
    for submission in news.submissions:
        contacts = await ports.documents.get(CONTACTS, submission)
        if contacts is not None:
            recipients += [await _reached(ports, person) for person in contacts.recipients]
        elif news.attempts < _WAIT_FOR_CONTACTS:
            raise TransientError("the submission's contacts are not known yet")
        else:
            all_known = False
    account = await ports.identity.account(news.sender.id) if news.sender is not None else None
    sender = (
        [(Person(name=account.name, email=account.email, phone=account.phone), account.language)]
        if (account is not None and not account.disabled)
        else []
    )
    staff: list[tuple[Person, str]] = [(person, ports.settings.language) for person in ports.settings.staff]
    staff += [
        (Person(name=account.name, email=account.email), account.language)
        for account in await ports.identity.entitled(Role.APPROVE)
        if account.told_of_failures
    ]
    return {"sender": sender, "recipients": recipients, "staff": staff}, all_known


async def _reached(ports: Ports, person: Person) -> tuple[Person, str]:
    """Somebody named by account is reached as the account says now; senders know no addresses."""
    account = await ports.identity.account(person.account_id) if person.account_id else None
    if account is None:
        return person, ports.settings.language
    if account.disabled:
        return Person(name=account.name), account.language
    return Person(name=account.name, email=account.email, phone=account.phone), account.language


def bar(ports: Ports, notice: Notice) -> None:
    """Notices that can't go out are recorded as such, so that somebody can see it."""
    now = ports.clock()
    if not notice.recipient:
        notice.state, reason = (
            State.NOT_CONFIGURED,
            say(
                "nobody-to-tell",
                "nobody who may approve has an email address, and [notify] staff names none",
            ),
        )
    elif ports.settings.off:
        notice.state, reason = State.OFF, say("notices-off", "notices are switched off")
    elif _sender(ports, notice.channel) is None:
        notice.state = State.NOT_CONFIGURED
        reason = say("channel-unset", "%(channel)s is not configured", channel=notice.channel)
    else:
        return
    notice.due_at = None
    notice.last_error, notice.last_said = reason.text, reason
    notice.note(now, reason.text)


def _sender(ports: Ports, channel: Channel) -> object | None:
    return ports.mail if channel == "email" else ports.sms


async def deliver(ports: Ports, claimed: Notice) -> None:
    """One attempt to send. At least once, and at most twice: `sending` is saved before the attempt,
    and one that ended without a word counts as possibly arrived."""
    if claimed.state is State.COMBINED:
        await digests.follow(ports, claimed)
        return
    async with ports.lock(claimed.recipient):
        # While waiting for the lock a digest may have taken it in.
        notice = await ports.documents.get(NOTICES, claimed.id)
        if notice is None or notice.due_at is None or notice.state is State.COMBINED:
            return
        if notice.state is State.SENDING:
            rules.after_interruption(notice)
            notice.note(ports.clock(), "an attempt was interrupted: it may have arrived and may come twice")
        if notice.possible >= rules.MOST_POSSIBLE:
            notice.state = State.QUEUED
            await ports.documents.save(NOTICES, notice)
            raise PermanentError(
                say("notice-interrupted", "interrupted twice while it was being sent: it may have arrived")
            )
        reason = rules.usable(notice.channel, notice.recipient)
        if reason is not None:
            raise PermanentError(reason)
        if notice.kind not in ABOUT_ACCOUNTS and not await digests.has_room(ports, notice):
            return
        notice.state = State.SENDING
        notice.note(ports.clock(), f"attempt {notice.attempts}")
        await ports.documents.save(NOTICES, notice)
        try:
            provider_id = await _send(ports, notice)
        except (PermanentError, TransientError) as error:
            await _came_back(ports, notice.id, error)
            raise
        await _sent(ports, notice.id, provider_id)


async def _send(ports: Ports, notice: Notice) -> str:
    said = digests.as_told(notice)
    if notice.channel == "email" and ports.mail is not None:
        sender = ports.sign.sender
        return await ports.mail.send(sender, notice.recipient, messages.email(said, ports.sign))
    if notice.channel == "sms" and ports.sms is not None:
        callback = f"{ports.status_url}?notice={notice.id}" if ports.status_url else None
        text = messages.sms(said, ports.sign)
        return await ports.sms.send(notice.recipient, text, status_callback=callback)
    raise PermanentError(
        say("channel-no-longer", "%(channel)s is no longer configured", channel=notice.channel)
    )


async def _came_back(ports: Ports, notice_id: str, error: PermanentError | TransientError) -> None:
    def edit(notice: Notice) -> Sequence[Event]:
        notice.state = State.QUEUED
        notice.possible += isinstance(error, Uncertain)
        notice.note(ports.clock(), str(error))
        return ()

    await _edit(ports, notice_id, edit)


async def _sent(ports: Ports, notice_id: str, provider_id: str) -> None:
    def edit(notice: Notice) -> Sequence[Event]:
        now = ports.clock()
        notice.state = State.SENT
        notice.sent_at = now
        notice.provider_id = provider_id
        notice.due_at = None
        notice.lease_until = None
        notice.last_error = ""
        notice.note(now, "sent")
        event = NoticeSent.first(
            time=now,
            key=notice.id,
            correlation_id=notice.correlation_id,
            cause=notice.cause,
            notice_id=notice.id,
            channel=notice.channel,
            kind=notice.kind.value,
        )
        return (event,)

    notice = await _edit(ports, notice_id, edit)
    if notice is not None:
        NOTICES_ENDED.labels(notice.channel, "sent").inc()


async def give_up(ports: Ports, notice: Notice, reason: str) -> None:
    """Trying again does not help."""
    await fail(ports, notice, notice.trouble or as_said(reason))


async def _edit(ports: Ports, notice_id: str, edit: Callable[[Notice], Sequence[Event]]) -> Notice | None:
    """A delivery report may save the notice in between: read again and redo.

    Nobody else knows what became of the attempt, and without that it would be made again: so this is
    written down as soon as the store is back, for as long as the lease is ours.
    """

    def change(notice: Notice | None) -> tuple[Notice, Sequence[Event]] | None:
        if notice is None:
            return None
        return notice, edit(notice)

    while True:
        try:
            return await ports.change(NOTICES, notice_id, change)
        except TransientError as error:
            _log.warning("what became of a notice can't be written down yet: %s", error)
            await asyncio.sleep(_AGAIN_S)
