"""Slowing down who tries too often, durably: each try is counted before it is looked at.

So a hundred tries at once are a hundred tries. A right one takes its count back.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from kit.documents.port import Documents
from kit.errors import TooMany, TransientError, VersionConflict
from kit.ids import derived_id
from services.portal.people.models import TRIES, Tries

_AGAIN = 50


@dataclass(frozen=True)
class Limit:
    """`free` tries cost nothing; each further one locks twice as long, from `first` up to `longest`.
    What was counted is forgotten when nothing was tried for `forget`."""

    free: int
    first: timedelta
    longest: timedelta
    forget: timedelta


_DAY = timedelta(days=1)
PASSWORD = Limit(5, timedelta(seconds=30), timedelta(minutes=30), _DAY)
CODE = Limit(5, timedelta(seconds=30), timedelta(hours=1), _DAY)
ADDRESS = Limit(30, timedelta(seconds=30), timedelta(minutes=15), timedelta(hours=6))
"""Higher: a whole clinic may come from one address."""
MAIL = Limit(3, timedelta(minutes=10), timedelta(hours=2), timedelta(hours=6))
MAIL_ADDRESS = Limit(20, timedelta(minutes=5), timedelta(hours=1), timedelta(hours=6))


def locked_until(limit: Limit, count: int, now: datetime) -> datetime | None:
    """Until when the next try has to wait after `count` of them. Pure."""
    over = count - limit.free
    if over < 0:
        return None
    wait: timedelta = limit.first * (1 << min(over, 20))
    return now + min(limit.longest, wait)


async def count_try(documents: Documents, now: datetime, limit: Limit, *what: str) -> bool:
    """Count one try at `what`. True when it is the one that locks. Raises TooMany while it is locked."""
    doc_id = derived_id("tries", *what)
    for _ in range(_AGAIN):
        tries = await documents.get(TRIES, doc_id) or Tries(id=doc_id, last_at=now)
        if tries.locked_until is not None and tries.locked_until > now:
            raise TooMany(tries.locked_until - now)
        if now - tries.last_at > limit.forget:
            tries.count = 0
        tries.count += 1
        tries.last_at = now
        tries.locked_until = locked_until(limit, tries.count, now)
        try:
            await documents.save(TRIES, tries)
        except VersionConflict:
            continue
        return tries.locked_until is not None and tries.count == limit.free
    raise TransientError("the same is being tried by many at once")


async def forgive(documents: Documents, *what: str) -> None:
    """It was the right one: forget the tries before it."""
    tries = await documents.get(TRIES, derived_id("tries", *what))
    if tries is not None:
        try:
            await documents.delete(TRIES, tries)
        except VersionConflict:
            return


async def take_back(documents: Documents, *what: str) -> None:
    """It was a right one: count one less, and keep the others."""
    tries = await documents.get(TRIES, derived_id("tries", *what))
    if tries is not None and tries.count > 0:
        tries.count -= 1
        tries.locked_until = None
        try:
            await documents.save(TRIES, tries)
        except VersionConflict:
            return


async def waits_until(documents: Documents, now: datetime, *what: str) -> datetime | None:
    """Until when it is locked; None: it is not."""
    tries = await documents.get(TRIES, derived_id("tries", *what))
    until = tries.locked_until if tries is not None else None
    return until if until is not None and until > now else None
