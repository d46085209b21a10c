"""What the lines of studies and those of submissions' files share: found, announced, put off, dropped."""

import logging
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from kit.documents.port import Collection, Range
from kit.documents.walking import each
from kit.errors import Contended, VersionConflict
from kit.service import Kit
from services.portal.retention_models import POLICIES, POLICY, Line, Policy
from services.portal.rules.retention import EVERY, believed, looks_needed

_log = logging.getLogger(__name__)
_TRIES = 20

L = TypeVar("L", bound=Line)


async def saved_policy(kit: Kit) -> Policy:
    return await kit.documents.get(POLICIES, POLICY) or Policy(id=POLICY)


def lines(kit: Kit, collection: Collection[L], state: str) -> AsyncIterator[L]:
    """All that are in this state, a page at a time."""
    return each(kit.documents, collection, {"state": state}, order="changed_at")


async def listed(kit: Kit, collection: Collection[L], state: str, limit: int) -> list[L]:
    """Announced: the next first. Others: the newest first."""
    announced = state == "announced"
    page = await kit.documents.find(
        collection,
        {"state": state},
        order="due_at" if announced else "changed_at",
        descending=not announced,
        limit=limit,
    )
    return page.items


def announce(line: Line, policy: Policy, now: datetime) -> None:
    line.changed_at, line.hours, line.look = now, policy.undo_hours, policy.looks
    line.due_at, line.lease_until = now + timedelta(hours=policy.undo_hours), None


async def bring_near(kit: Kit, collection: Collection[L], line: L, policy: Policy, now: datetime) -> None:
    """What a clock that was ahead had announced, or put off, is announced anew."""
    latest = now + timedelta(hours=line.hours or policy.undo_hours)
    if line.due_at is not None and line.due_at <= latest:
        return
    announce(line, policy, now)
    try:
        await kit.documents.save(collection, line)
    except VersionConflict:
        return


async def forget(kit: Kit, collection: Collection[L], line: L) -> None:
    """What it is about stays; what somebody changed at the same moment counts."""
    try:
        await kit.documents.delete(collection, line)
    except VersionConflict:
        return


async def put(
    kit: Kit, collection: Collection[L], line: L, unless: Callable[[L], bool], contended: Contended
) -> None:
    """In place of whatever line is known, `unless` that one stays. Raises `contended` when it never comes to
    rest."""
    for _ in range(_TRIES):
        known = await kit.documents.get(collection, line.id)
        if known is not None and unless(known):
            return
        line.version = known.version if known is not None else 0
        try:
            await kit.documents.save(collection, line)
        except VersionConflict:
            continue
        return
    raise contended


async def may_go_on(
    kit: Kit, collection: Collection[L], line: L, policy: Policy, most: int, many: str
) -> bool:
    """By a clock that a look believed lately, after enough looks, and not more than `most` an hour; beyond
    it, `many` is logged."""
    if not believed(policy.trusted_at, kit.clock()):
        return False
    if policy.looks - line.look < looks_needed(line.hours):
        return False
    if await _gone_lately(kit, collection, most) >= most:
        _log.warning(many, most)
        return False
    return True


async def try_later(kit: Kit, collection: Collection[L], line: L) -> None:
    line.due_at, line.lease_until, line.attempts = kit.clock() + EVERY, None, 0
    await kit.documents.save(collection, line)


async def _gone_lately(kit: Kit, collection: Collection[L], most: int) -> int:
    """How many went, or began to go, within the time between two looks; counted no further than `most`."""
    now = kit.clock()
    lately = Range(low=now - EVERY, high=now + EVERY)
    return sum(
        [
            await kit.documents.count(collection, {"state": state, "changed_at": lately}, cap=most)
            for state in ("removing", "removed")
        ]
    )
