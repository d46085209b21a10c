"""Retention: images that nobody needs here any more go, by the policy of the hospital.

Once an hour the policy (itself a task) looks for such studies and announces each (an expiry, a task too).
Until the announced hour anybody entitled can keep it, and every further look must find the same. Then
everything is looked at again, and one save of the case says that its images go; a decision made at the same
moment is made on a case that says so, or comes first and keeps them. What validate deletes follows from that
event.
"""

import asyncio
import contextlib
import logging
from dataclasses import replace

from kit.errors import Contended, TransientError, VersionConflict
from kit.identity import Principal
from kit.saying import say
from kit.service import Kit
from kit.tasks import TaskRunner
from schemas.portal import StudyExpired
from schemas.validate import StudyRemoved
from services.portal import retention_ledger as ledger
from services.portal.accounts import record
from services.portal.models import CASES, Case
from services.portal.retention_files import Files
from services.portal.retention_lines import (
    listed,
    may_go_on,
    saved_policy,
    try_later,
)
from services.portal.retention_look import look, spare
from services.portal.retention_models import EXPIRIES, POLICIES, POLICY, Expiry, Figure, Policy
from services.portal.rules import retention as rules
from services.portal.rules.retention import EVERY, RULES, Rule
from services.portal.rules.state import refresh, sent_in
from services.portal.sharing import shared_until

_log = logging.getLogger(__name__)
_COUNTED = 100_000
_TRIES = 20
_WATCHED_EVERY_S = 600.0
MOST_AN_HOUR = 2000
_MANY = "retention removes no more than %s studies an hour"


class Retention:
    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self.files = Files(kit)
        self._watching: asyncio.Task[None] | None = None
        self._looking: TaskRunner[Policy] = TaskRunner(
            kit.documents, POLICIES, work=self.look, give_up=self._look_later,
            clock=kit.clock, owner=kit.owner, exclusive=kit.exclusive, concurrency=1,
        )  # fmt: skip
        self._removing: TaskRunner[Expiry] = TaskRunner(
            kit.documents, EXPIRIES, work=self.expire, give_up=self._give_up,
            clock=kit.clock, owner=kit.owner, exclusive=kit.exclusive, concurrency=2,
        )  # fmt: skip

    async def start(self) -> None:
        await self._looking.start()
        await self._removing.start()
        await self.files.runner.start()
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        await self.files.runner.stop()
        await self._removing.stop()
        await self._looking.stop()

    async def policy(self) -> Policy:
        return await saved_policy(self._kit)

    async def change(
        self,
        who: Principal,
        *,
        in_pacs_days: int | None,
        declined_days: int | None,
        undo_hours: int,
        documents_days: int | None = None,
        quarantine_days: int | None = None,
    ) -> Policy:
        """Raises Refused. What was announced and does not fit any more stays. Who changes the policy also
        says that the clock is right."""
        rules.check([in_pacs_days, declined_days, documents_days, quarantine_days], undo_hours)
        detail = say(
            "entry-retention-of-all",
            "in the PACS: %(in_pacs)s, declined: %(declined)s, documents: %(documents)s, "
            "put aside: %(quarantine)s, %(hours)s h",
            in_pacs=in_pacs_days or "–",
            declined=declined_days or "–",
            documents=documents_days or "–",
            quarantine=quarantine_days or "–",
            hours=undo_hours,
        )
        await record(self._kit, who, "retention-changed", "retention", POLICY, detail)
        for _ in range(_TRIES):
            policy = await self.policy()
            policy.in_pacs_days, policy.declined_days = in_pacs_days, declined_days
            policy.documents_days, policy.quarantine_days = documents_days, quarantine_days
            policy.undo_hours = undo_hours
            policy.trusted_at = self._kit.clock()
            policy.doubts, policy.doubted_at = 0, None
            policy.due_at, policy.lease_until = self._kit.clock(), None
            try:
                await self._kit.documents.save(POLICIES, policy)
            except VersionConflict:
                continue
            self._looking.poke()
            return policy
        raise Contended("the policy")

    async def figure(self, days: dict[Rule, int | None]) -> Figure:
        """What a policy with these days would let go now."""
        studies, size, by_rule = 0, 0, dict.fromkeys(RULES, 0)
        for rule, number in days.items():
            if number is None:
                continue
            where = spare(rule, number, self._kit.clock())
            found = await self._kit.documents.project(
                CASES, ["bytes"], where, order="spare_since", limit=_COUNTED
            )
            by_rule[rule] = len(found)
            studies += len(found)
            size += sum(row["bytes"] for row in found)
        return Figure(studies, size, by_rule)

    async def whole_figure(self, policy: Policy) -> Figure:
        """What this policy would let go now, documents and files put aside as well."""
        submissions, files = await self.files.figure(policy.file_days)
        return replace(await self.figure(policy.days), submissions=submissions, files=files)

    async def listed(self, state: str, limit: int = 100) -> list[tuple[Expiry, Case | None]]:
        """Announced: the next first. Others: the newest first."""
        found = await listed(self._kit, EXPIRIES, state, limit)
        return [(one, await self._kit.documents.get(CASES, one.id)) for one in found]

    async def keep(self, who: Principal, study_id: str, reason: str = "") -> None:
        """Keep the images of this study until somebody says otherwise. Raises NotFound, Stale."""
        await ledger.keep(self._kit, who, study_id, reason)

    async def release(self, who: Principal, study_id: str) -> None:
        """Let the policy apply to it again. Raises NotFound, Stale."""
        await ledger.release(self._kit, who, study_id)

    async def removed(self, event: StudyRemoved) -> None:
        """The ledger: what went, when and by which rule."""
        await ledger.removed(self._kit, event)

    async def look(self, policy: Policy) -> None:
        """Announce what may go, and take back what may not any more."""
        await look(self._kit, policy, self.files)
        self._removing.poke()
        self.files.runner.poke()

    async def expire(self, expiry: Expiry) -> None:
        """The announced hour has come: the images go, if they still may."""
        for _ in range(_TRIES):
            policy, now = await self.policy(), self._kit.clock()
            case = await self._kit.documents.get(CASES, expiry.id)
            rule = rules.rule_for(case, policy.days, now)
            if case is None or case.study is None or (case.leaving is None and rule is None):
                await self._kit.documents.delete(EXPIRIES, expiry)
                return
            if case.leaving is None and rule is not None:
                if await shared_until(self._kit, case.id) is not None:
                    await self._kit.documents.delete(EXPIRIES, expiry)
                    return
                if not await may_go_on(self._kit, EXPIRIES, expiry, policy, MOST_AN_HOUR, _MANY):
                    await try_later(self._kit, EXPIRIES, expiry)
                    return
                case.leaving = now
                event = StudyExpired.first(
                    time=now,
                    key=case.id,
                    correlation_id=case.correlation_id,
                    step=str(case.study.revision),
                    study_id=case.id,
                    study_revision=case.study.revision,
                    rule=rule,
                    submissions=sent_in(case),
                )
                refresh(case)
                try:
                    await self._kit.documents.save(CASES, case, [event])
                except VersionConflict:
                    continue
            expiry.state, expiry.changed_at = "removing", now
            expiry.due_at, expiry.lease_until = None, None
            await self._kit.documents.save(EXPIRIES, expiry)
            return
        raise Contended("a case")

    async def set_right(self) -> None:
        """A look that a clock which was ahead has put into the far future is made now."""
        policy, now = await self.policy(), self._kit.clock()
        if policy.due_at is not None and policy.due_at > now + 2 * EVERY:
            policy.due_at, policy.lease_until, policy.attempts = now, None, 0
            await self._kit.documents.save(POLICIES, policy)
            self._looking.poke()

    async def _watch(self) -> None:
        while True:
            try:
                await self.set_right()
            except (TransientError, VersionConflict) as error:
                _log.info("the time of the next look is checked later: %s", error)
            await asyncio.sleep(_WATCHED_EVERY_S)

    async def _look_later(self, policy: Policy, reason: str) -> None:
        policy.due_at, policy.lease_until, policy.attempts = self._kit.clock() + EVERY, None, 0
        await self._kit.documents.save(POLICIES, policy)

    async def _give_up(self, expiry: Expiry, reason: str) -> None:
        await try_later(self._kit, EXPIRIES, expiry)
