"""What is worth telling, whom, when, and how often. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from kit.ids import derived_id
from kit.saying import say
from schemas.shapes import Person, Said
from schemas.validate import SubmissionValidated
from services.notify.models import Channel, Kind, News, Notice

HOUR = timedelta(hours=1)
MOST_POSSIBLE = 2
"""A message that may have arrived twice is not sent a third time."""

_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_E164 = re.compile(r"\+[1-9]\d{6,14}")

_TOLD_WARNINGS = {"several-patients", "disc-incomplete", "pixel-data-short"}
"""Warnings that only the sender can clear up."""

Audience = Literal["sender", "recipients", "staff"]

_AUDIENCES: dict[Kind, tuple[tuple[Kind, Audience], ...]] = {
    Kind.PROBLEMS: ((Kind.PROBLEMS, "sender"), (Kind.PROBLEMS, "recipients")),
    Kind.DECLINED: ((Kind.DECLINED, "sender"), (Kind.DECLINED, "recipients")),
    # Only the sender can answer a question to the sender.
    Kind.ASKED: ((Kind.ASKED, "sender"),),
    Kind.IN_PACS: ((Kind.IN_PACS, "sender"), (Kind.IN_PACS, "recipients")),
    # Staff must act; the others learn that it takes longer and that nothing is lost.
    Kind.DESTINATION_AWAY: ((Kind.DESTINATION_AWAY, "staff"),),
    Kind.DESTINATION_BACK: ((Kind.DESTINATION_BACK, "staff"),),
    Kind.FAILED: ((Kind.FAILED, "staff"), (Kind.DELAYED, "sender"), (Kind.DELAYED, "recipients")),
}

_GATHERED = {Kind.IN_PACS, Kind.FAILED}
"""Kinds that come several at a time (many series, several destinations): told once they calm down."""


def audiences(kind: Kind) -> tuple[tuple[Kind, Audience], ...]:
    """Which notice goes to whom when news of this kind is told."""
    return _AUDIENCES[kind]


def problems(event: SubmissionValidated) -> dict[str, int] | None:
    """Counts to tell of, or None when all went well. Waiting files are no problem yet, and what a
    disc brings along besides its images (viewer, helper files) is none either."""
    tally = event.tally
    harmless = sum(f.count for f in event.findings if f.action == "refused" and f.severity == "info")
    helpers = min(harmless, tally.refused)
    refused = tally.refused - helpers
    open_points = sum(
        f.action in ("kept", "repaired") and (f.severity == "error" or f.code in _TOLD_WARNINGS)
        for f in event.findings
    )
    if not (refused or tally.quarantined or open_points):
        return None
    return {
        "files": tally.sent,
        "kept": tally.stored + tally.duplicate + tally.document,
        "waiting": tally.waiting,
        "refused": refused,
        "quarantined": tally.quarantined,
        "helpers": helpers,
        "open_points": open_points,
    }


def take_in(
    news: News,
    *,
    mark: str,
    cause: str,
    facts: dict[str, int],
    submissions: Sequence[str],
    now: datetime,
    combine: timedelta,
    at_most: timedelta,
) -> bool:
    """Add something heard to the news. False: it was heard before (`mark`), nothing changed.

    Gathered kinds wait until nothing new came for `combine`, at most `at_most` after the round
    began; others are due at once.
    """
    if mark in news.seen:
        return False
    news.seen = [*news.seen[-199:], mark]
    news.heard += 1
    news.facts = dict(facts)
    news.submissions = list(dict.fromkeys([*news.submissions, *submissions]))
    if news.due_at is None:
        news.round += 1
        news.round_began = now
        news.cause = cause
        news.attempts = 0
    news.due_at = due(news, now, combine, at_most)
    return True


def due(news: News, now: datetime, combine: timedelta, at_most: timedelta) -> datetime:
    if news.kind not in _GATHERED:
        return now
    return min(now + combine, (news.round_began or now) + at_most)


def news_id(kind: Kind, about: str) -> str:
    return derived_id("news", kind, about)


def notice_id(news: News, kind: Kind, channel: Channel, recipient: str) -> str:
    """The same for the same news, kind, channel and recipient: telling again finds it made. What was
    heard after a telling that did not get to its end is told too.

    That a study is delayed is told once, however often forwarding fails.
    """
    which = "" if kind is Kind.DELAYED else f"{news.cause}.{news.heard}"
    return derived_id("notice", news.about, which, kind, channel, recipient)


@dataclass(frozen=True)
class Address:
    """One way to reach somebody."""

    channel: Channel
    recipient: str
    name: str
    language: str


def addresses(people: Iterable[tuple[Person, str]]) -> list[Address]:
    """Every way to reach these people (with their languages), each address once, first come first."""
    found: dict[tuple[str, str], Address] = {}
    for person, language in people:
        for channel, raw in (("email", person.email), ("sms", person.phone)):
            recipient = (raw or "").strip()
            if not recipient:
                continue
            if channel == "email":
                address = Address("email", recipient, person.name, language)
            else:
                recipient = re.sub(r"[\s()/.-]", "", recipient)
                address = Address("sms", recipient, person.name, language)
            found.setdefault((channel, recipient.lower()), address)
    return list(found.values())


def usable(channel: Channel, recipient: str) -> Said | None:
    """None when a message can be addressed so, else why not."""
    if channel == "sms":
        return (
            None
            if _E164.fullmatch(recipient)
            else say("no-phone", "not a phone number of the form +4315550100")
        )
    well = len(recipient) <= 254 and _EMAIL.fullmatch(recipient) is not None and ".." not in recipient
    return None if well else say("no-email", "not an email address that can be used")


def free_at(sent_times: Sequence[datetime], per_hour: int, now: datetime) -> datetime | None:
    """When an address may get its next message, from the times of its last ones (oldest first);
    None: now."""
    recent = [time for time in sent_times if time > now - HOUR]
    if len(recent) < per_hour:
        return None
    return recent[-per_hour] + HOUR


def after_interruption(notice: Notice) -> None:
    """Found in state sending: an attempt ended without a word, and may have been one that arrived."""
    notice.possible += 1


def reference(opaque_id: str) -> str:
    """What a person reads out on the telephone: the first eight digits of an opaque id."""
    return opaque_id[:8].upper()
