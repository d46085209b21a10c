"""The hourly look of retention: what may go is announced, what may not any more is taken back.

The clock decides what is old, and clocks go wrong: an empty battery, a wrong server, a typing mistake. A look
whose clock leapt since the last one does nothing until it has gone on well for a day, or a person has saved
the policy, which says that it is right.
"""

import logging
from datetime import datetime

from kit.documents.port import Range, Where
from kit.documents.walking import each
from kit.errors import VersionConflict
from kit.service import Kit
from services.portal.models import CASES, Case
from services.portal.retention_files import Files
from services.portal.retention_ledger import finish_keeping
from services.portal.retention_lines import (
    announce,
    bring_near,
    forget,
    lines,
)
from services.portal.retention_models import EXPIRIES, POLICIES, Expiry, Policy
from services.portal.rules import retention as rules
from services.portal.rules.retention import AGREEING, EVERY, RULES, Rule
from services.portal.rules.state import refresh
from services.portal.sharing import shared_until

_log = logging.getLogger(__name__)
MOST_A_LOOK = 2000
"""Announced at one look; the next one goes on."""


async def look(kit: Kit, policy: Policy, files: Files) -> None:
    """One look; ends with a save of the policy that says when the next one is."""
    now = kit.clock()
    if _believe(policy, now):
        if not policy.caught_up:
            await _catch_up(kit)
        if policy.looked_at is None or now - policy.looked_at >= EVERY / 2:
            policy.looks += 1
        await _judge(kit, policy, now)
        await finish_keeping(kit)
        rest = {"studies": await _announce_all(kit, policy, now), "files": await files.look(policy, now)}
        policy.capped = [what for what, some in rest.items() if some]
        policy.caught_up, policy.looked_at, policy.trusted_at = True, now, now
    else:
        _log.warning("the clock leapt since the last look: retention waits for %s looks", AGREEING)
    policy.due_at, policy.lease_until, policy.attempts = kit.clock() + EVERY, None, 0
    await kit.documents.save(POLICIES, policy)


def spare(rule: Rule, days: int, now: datetime) -> Where:
    """The cases whose images may go by this rule."""
    return {"state": rule, "spare_since": Range(high=rules.limit(days, now))}


def _believe(policy: Policy, now: datetime) -> bool:
    if not rules.leapt(policy.trusted_at, now):
        policy.doubts, policy.doubted_at = 0, None
        return True
    steady = policy.doubted_at is not None and not rules.leapt(policy.doubted_at, now)
    policy.doubts = policy.doubts + 1 if steady else 1
    policy.doubted_at = now
    if policy.doubts <= AGREEING:
        return False
    policy.doubts, policy.doubted_at = 0, None
    return True


async def _judge(kit: Kit, policy: Policy, now: datetime) -> None:
    """Look again at all that is to go."""
    for state in ("announced", "shared"):
        async for expiry in lines(kit, EXPIRIES, state):
            case = await kit.documents.get(CASES, expiry.id)
            announced = state == "announced"
            if rules.rule_for(case, policy.days, now) is None or (
                announced and await shared_until(kit, expiry.id) is not None
            ):
                await forget(kit, EXPIRIES, expiry)
            elif announced:
                await bring_near(kit, EXPIRIES, expiry, policy, now)
    async for expiry in lines(kit, EXPIRIES, "removing"):
        case = await kit.documents.get(CASES, expiry.id)
        if case is None or (case.leaving is None and case.gone is None):
            await forget(kit, EXPIRIES, expiry)


async def _announce_all(kit: Kit, policy: Policy, now: datetime) -> bool:
    """Whether some are left to the next look."""
    left = MOST_A_LOOK
    for rule, number in policy.days.items():
        if number is None:
            continue
        async for case in each(kit.documents, CASES, spare(rule, number, now), order="spare_since"):
            if left == 0:
                _log.warning("retention announces no more than %s studies at a look", MOST_A_LOOK)
                return True
            left -= await _announce(kit, case, rule, policy, now)
    return False


async def _announce(kit: Kit, case: Case, rule: Rule, policy: Policy, now: datetime) -> bool:
    """True when it was announced now."""
    known = await kit.documents.get(EXPIRIES, case.id)
    if known is not None and known.state not in ("removed", "shared"):
        return False
    until = await shared_until(kit, case.id)
    if known is not None and known.state == "shared" and known.until == until:
        return False
    expiry = Expiry(
        id=case.id, state="announced" if until is None else "shared", rule=rule, bytes=case.bytes,
        changed_at=now, until=until, generation=case.study.generation if case.study is not None else 1,
    )  # fmt: skip
    if until is None:
        announce(expiry, policy, now)
    expiry.version = known.version if known is not None else 0
    try:
        await kit.documents.save(EXPIRIES, expiry)
    except VersionConflict:
        return False
    return until is None


async def _catch_up(kit: Kit) -> None:
    """Cases saved by a version that did not know this yet."""
    for state in RULES:
        async for case in each(kit.documents, CASES, {"state": state}, order="arrived_at"):
            before = (case.spare_since, case.bytes)
            refresh(case)
            if (case.spare_since, case.bytes) != before:
                await kit.documents.save(CASES, case)
