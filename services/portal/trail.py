"""Appending to the audit trail, and checking that nobody changed it.

An entry's id is its number in the chain. Whoever appends reads the end, makes the next entry and inserts
it; when somebody else was first, the id is taken, and it is tried again behind theirs. So there is one
chain, however many processes write it.
"""

import asyncio
import logging
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from kit.documents.port import Documents, Range
from kit.errors import TransientError, VersionConflict
from kit.service import Kit
from services.portal.models import AUDIT, AuditEntry
from services.portal.rules.chain import Broken, Head, check, link

_log = logging.getLogger(__name__)
_TRIES = 200
_TOLD_EVERY = 100
_PAGE = 1000
_turns: "WeakKeyDictionary[Documents, asyncio.Lock]" = WeakKeyDictionary()
"""Within one process entries queue up instead of racing."""


@dataclass(frozen=True)
class Checked:
    """`head` is the last entry that holds. `end`: there is none behind it."""

    head: Head
    end: bool
    broken: Broken | None = None


async def append(kit: Kit, entry: AuditEntry) -> None:
    """Put the entry at the end of the chain. One with a `ref` that is there already is not put in again."""
    async with _turns.setdefault(kit.documents, asyncio.Lock()):
        if entry.ref and await kit.documents.count(AUDIT, {"ref": entry.ref}, cap=1):
            return
        for _ in range(_TRIES):
            link(kit.site_key, await end(kit), entry)
            try:
                await kit.documents.save(AUDIT, entry)
            except VersionConflict:
                continue
            if entry.seq is not None and entry.seq % _TOLD_EVERY == 0:
                # A copy of the log elsewhere bears witness to what the chain was.
                _log.info("the audit trail has %d entries, the last with hash %s", entry.seq, entry.hash)
            return
    raise TransientError("the audit trail is being written by very many at once")


async def end(kit: Kit) -> Head:
    page = await kit.documents.find(AUDIT, {"seq": Range(low=1)}, order="seq", descending=True, limit=1)
    last = page.items[0] if page.items else None
    return Head(last.seq or 0, last.hash) if last is not None else Head()


async def verify(kit: Kit, after: Head, most: int) -> Checked:
    """Check the chain from behind `after` on, at most so many entries."""
    head = after
    while head.seq - after.seq < most:
        page = await kit.documents.find(
            AUDIT, {"seq": Range(low=head.seq + 1)}, order="seq", limit=min(_PAGE, most)
        )
        if not page.items:
            return Checked(head, end=True)
        found = check(kit.site_key, head, page.items)
        if isinstance(found, Broken):
            _log.warning("the audit trail does not hold at entry %d: %s", found.seq, found.reason)
            return Checked(head, end=False, broken=found)
        head = found
    return Checked(head, end=False)


async def unchained(kit: Kit) -> int:
    """Entries of a version that had no chain yet, counting no further than 100,000."""
    return await kit.documents.count(AUDIT, {"seq": None}, cap=100_000)
