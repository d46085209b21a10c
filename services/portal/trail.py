"""Appending to the audit trail, and checking that nobody changed it.

An entry's id is its number in the chain. Whoever appends reads the end, makes the next entry and inserts
it; when somebody else was first, the id is taken, and it is tried again behind theirs. So there is one
chain, however many processes write it.

Entries of a version that had no chain yet stay as they are: the first entry of the chain tells how many
there were, with a hash over them. All entries must be either of the chain or among those.
"""

import asyncio
import logging
import random
from contextlib import suppress
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from pydantic import ValidationError

from kit.documents.port import Documents, Range
from kit.errors import Contended, VersionConflict
from kit.service import Kit
from services.portal.models import AUDIT, AuditEntry
from services.portal.rules.chain import (
    Broken,
    Head,
    Older,
    beginning,
    begun_with,
    check,
    entry_id,
    link,
    with_older,
)

_log = logging.getLogger(__name__)
_TRIES = 200
_REST_S, _LONGEST_REST_S = 0.005, 0.1
_PAGE = 1000
_COUNTS = 5
_ALL = 1 << 40
_turns: "WeakKeyDictionary[Documents, asyncio.Lock]" = WeakKeyDictionary()
"""Within one process entries queue up instead of racing."""


@dataclass(frozen=True)
class Checked:
    """`head` is the last entry that holds. `end`: there is none behind it. `older`: so many entries are
    from before the chain (told at its end)."""

    head: Head
    end: bool
    broken: Broken | None = None
    older: int = 0


async def append(kit: Kit, entry: AuditEntry) -> None:
    """Put the entry at the end of the chain. One with a `ref` that is there already is not put in again."""
    documents = kit.documents
    async with _turns.setdefault(documents, asyncio.Lock()):
        for tried in range(1, _TRIES + 1):
            head = await end(kit)
            # In this order: if the same is entered elsewhere from here on, the number is taken.
            if entry.ref and await documents.count(AUDIT, {"ref": entry.ref}, cap=1):
                return
            if head == Head() and await _begun(kit, entry):
                continue
            link(kit.site_key, head, entry)
            try:
                await documents.save(AUDIT, entry)
            except VersionConflict:
                rest = min(_LONGEST_REST_S, tried * _REST_S)
                await asyncio.sleep(random.uniform(0, rest))  # noqa: S311 - only to part those who race
                continue
            return
    raise Contended("the audit trail")


async def _begun(kit: Kit, entry: AuditEntry) -> bool:
    """Begin the chain with an entry about older ones, ahead of this. False: there are none."""
    older = await _older(kit)
    if older == Older():
        return False
    first = beginning(older, entry.time)
    link(kit.site_key, Head(), first)
    with suppress(VersionConflict):
        await kit.documents.save(AUDIT, first)
    return True


async def end(kit: Kit) -> Head:
    page = await kit.documents.find(AUDIT, {"seq": Range(low=1)}, order="seq", descending=True, limit=1)
    last = page.items[0] if page.items else None
    return Head(last.seq or 0, last.hash) if last is not None else Head()


async def verify(kit: Kit, after: Head, most: int) -> Checked:
    """Check the chain from behind `after` on, at most so many entries; the older ones before its first
    entry, and that there are no others when its end is reached."""
    if after.seq == 0 and not await _begins_right(kit):
        return _found(after, Broken(0, "older"))
    head, size = after, min(_PAGE, most)
    while head.seq - after.seq < most:
        try:
            page = await kit.documents.find(AUDIT, {"seq": Range(low=head.seq + 1)}, order="seq", limit=size)
        except ValidationError:
            # One of them is no entry at all by now: go up to it one by one.
            if size == 1:
                return _found(head, Broken(head.seq + 1, "changed"))
            size = 1
            continue
        if not page.items:
            return await _besides(kit, head)
        found = check(kit.site_key, head, page.items)
        if isinstance(found, Broken):
            return _found(head, found)
        head = found
    return Checked(head, end=False)


def _found(head: Head, broken: Broken) -> Checked:
    _log.warning("the audit trail does not hold at entry %d: %s", broken.seq, broken.reason)
    return Checked(head, end=False, broken=broken)


async def _besides(kit: Kit, head: Head) -> Checked:
    """At the end: whether as many entries are there as the chain and the older ones make. While others
    append, the number of those in the chain is known from before and after the counting."""
    first = await _first(kit)
    older = begun_with(first).count if first is not None else (await _older(kit)).count
    for _ in range(_COUNTS):
        low = (await end(kit)).seq
        counted = await kit.documents.count(AUDIT, cap=_ALL) - older
        high = (await end(kit)).seq
        if low == high:
            break
    if counted > high:
        return _found(head, Broken(0, "foreign"))
    if counted < low:
        return _found(head, Broken(0, "older"))
    return Checked(head, end=True, older=older)


async def _begins_right(kit: Kit) -> bool:
    """Whether the older entries are those that the first one tells of."""
    try:
        first = await _first(kit)
        return first is None or await _older(kit) == begun_with(first)
    except ValidationError:
        return False


async def _first(kit: Kit) -> AuditEntry | None:
    return await kit.documents.get(AUDIT, entry_id(1))


async def _older(kit: Kit) -> Older:
    older, cursor = Older(), None
    while True:
        page = await kit.documents.find(AUDIT, {"seq": None}, limit=_PAGE, cursor=cursor)
        older = with_older(kit.site_key, older, page.items)
        cursor = page.cursor
        if cursor is None:
            return older
