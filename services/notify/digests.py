"""Notices for an address that got enough wait; when there is room again, one message tells of all.

Every process may come to that point at once, and no notice may get lost between two of them:

- The oldest that is due leads, the others wait a moment for it. Should two lead all the same, each
  takes a notice in at its version: it is in one digest at most, and one that leads is in none.
- What a digest tells of is saved into the leading notice with its first attempt, and stays so.
- A notice taken in remains a task: it ends as its digest does, and waits again where that went
  without it.
"""

from collections.abc import Sequence
from datetime import timedelta

from kit.documents.port import Range
from kit.saying import as_said
from schemas.envelope import Event
from services.notify import rules
from services.notify.endings import fail
from services.notify.models import NOTICES, Kind, Notice, State
from services.notify.ports import Ports

_MOST = 500
_LEADER_AGAIN = timedelta(seconds=2)
"""The leader takes the others in within moments; when it died, these look again until it is back."""
_DIGEST_AGAIN = timedelta(minutes=1)

_NAMES = {
    Kind.FAILED: "failed",
    Kind.PROBLEMS: "problems",
    Kind.ASKED: "asked",
    Kind.DECLINED: "declined",
    Kind.DELAYED: "delayed",
    Kind.IN_PACS: "in_pacs",
    Kind.DESTINATION_AWAY: "destinations",
    Kind.DESTINATION_BACK: "destinations",
}


async def has_room(ports: Ports, notice: Notice) -> bool:
    """Whether the notice may go out now, as a digest where others waited too. False: it waits, and is
    saved so. One that was tried before, or leads already, has its room."""
    if not (notice.leads or notice.possible):
        if await _held(ports, notice):
            return False
        if notice.state is State.HELD and not await _may_lead(ports, notice):
            return False
    if notice.state is State.HELD or not notice.leads:
        # What does not lead may have taken others in by an earlier version of this software.
        await _count(ports, notice)
    return True


def as_told(notice: Notice) -> Notice:
    """What the message says: of this notice, or of all that waited."""
    if not notice.digest:
        return notice
    return notice.model_copy(update={"kind": Kind.DIGEST, "about": "", "facts": notice.digest})


async def follow(ports: Ports, notice: Notice) -> None:
    """A notice that was taken in ends as its digest did, with the one save."""
    now = ports.clock()
    lead = await ports.documents.get(NOTICES, notice.combined_into)
    if lead is None or (lead.state is not State.HELD and notice.id not in lead.stands_for):
        notice.state = State.HELD
        notice.combined_into = ""
        notice.wait(now)
        notice.note(now, "the digest went without it: it waits again")
    elif lead.state is State.FAILED:
        await fail(ports, notice, lead.trouble or as_said(lead.last_error))
        return
    elif lead.due_at is None:
        notice.wait(now)
        notice.due_at = None
        notice.note(now, "told by a digest")
    else:
        notice.wait(max(now, lead.due_at) + _DIGEST_AGAIN)
    await ports.documents.save(NOTICES, notice)


async def _held(ports: Ports, notice: Notice) -> bool:
    """True when the address got enough within the hour: the notice waits for the next free place."""
    now = ports.clock()
    page = await ports.documents.find(
        NOTICES,
        {"recipient": notice.recipient, "sent_at": Range(low=now - rules.HOUR)},
        order="sent_at",
        descending=True,
        limit=ports.settings.per_hour,
    )
    times = [sent.sent_at for sent in reversed(page.items) if sent.sent_at is not None]
    free = rules.free_at(times, ports.settings.per_hour, now)
    if free is None:
        return False
    if notice.state is not State.HELD:
        notice.note(now, "held: this address got enough messages within the hour")
    notice.state = State.HELD
    notice.wait(max(free, now + timedelta(seconds=1)))
    await ports.documents.save(NOTICES, notice)
    return True


async def _may_lead(ports: Ports, notice: Notice) -> bool:
    """Take in what waits for the same address; False: an older one does, and this waits for it."""
    now = ports.clock()
    page = await ports.documents.find(
        NOTICES,
        {"recipient": notice.recipient, "state": State.HELD.value},
        order="created_at",
        limit=_MOST,
    )
    due = [held.id for held in page.items if held.due_at is not None and held.due_at <= now]
    if due and due[0] != notice.id:
        notice.wait(now + _LEADER_AGAIN)
        await ports.documents.save(NOTICES, notice)
        return False

    def take_in(other: Notice | None) -> tuple[Notice, Sequence[Event]] | None:
        if other is None or other.due_at is None or other.state is not State.HELD or other.leads:
            return None
        other.state = State.COMBINED
        other.combined_into = notice.id
        other.due_at = ports.clock() + _DIGEST_AGAIN
        other.lease_until = None
        other.note(ports.clock(), "taken into a digest")
        return other, ()

    notice.leads = True
    await ports.documents.save(NOTICES, notice)
    for other in page.items:
        if other.id != notice.id:
            await ports.change(NOTICES, other.id, take_in)
    return True


async def _count(ports: Ports, notice: Notice) -> None:
    """What the digest tells of, put into the notice; its caller saves it with the attempt."""
    page = await ports.documents.find(NOTICES, {"combined_into": notice.id}, limit=_MOST)
    if not page.items:
        return
    facts = dict.fromkeys(_NAMES.values(), 0)
    for told in (notice, *page.items):
        facts[_NAMES[told.kind]] += 1
    notice.stands_for = [told.id for told in page.items]
    notice.digest = {**facts, "messages": 1 + len(page.items)}
