"""Retention: images that nobody needs here any more go, by the policy of the hospital.

Once an hour the policy (itself a task) looks for such studies and announces each (an expiry, a task too).
Until the announced hour anybody entitled can keep it. Then everything is looked at again, and one save of
the case says that its images go; a decision made at the same moment is made on a case that says so, or
comes first and keeps them. What validate deletes follows from that event.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import Field

from kit.documents.port import Collection, Instant, Range
from kit.errors import NotFound, Stale, TransientError, VersionConflict
from kit.identity import Principal
from kit.service import Kit
from kit.tasks import TaskDoc, TaskRunner
from schemas.portal import StudyExpired
from schemas.validate import StudyRemoved
from services.portal.accounts import record
from services.portal.models import CASES, Case
from services.portal.rules import retention as rules
from services.portal.rules.retention import RULES, Rule
from services.portal.rules.state import refresh, sent_in

_POLICY = "policy"
_EVERY = timedelta(hours=1)
_PAGE = 200
_COUNTED = 100_000
_TRIES = 20


class Policy(TaskDoc):
    """How long images are kept once nobody needs them. There is one; `due_at` is the next look."""

    in_pacs_days: int | None = Field(
        default=None, description="after their arrival was proved; None: for good"
    )
    declined_days: int | None = Field(default=None, description="after they were turned down; None: for good")
    undo_hours: int = Field(default=72, description="announced for so long before they go")
    looked_at: Instant | None = None
    caught_up: bool = Field(default=False, description="cases of earlier versions know when they are spare")

    @property
    def days(self) -> dict[Rule, int | None]:
        return {"in-pacs": self.in_pacs_days, "declined": self.declined_days}


class Expiry(TaskDoc):
    """One study whose images are to go (`announced`, until `due_at`), are going (`removing`), have gone
    (`removed`), or are kept by a person (`kept`). `id` is the study's."""

    state: str
    rule: str = ""
    bytes: int = 0
    changed_at: Instant
    account: str = Field(default="", description="who keeps it")
    reason: str = ""


@dataclass(frozen=True)
class Figure:
    """What would go, counting no further than 100,000 studies of a rule."""

    studies: int = 0
    bytes: int = 0
    by_rule: dict[Rule, int] = field(default_factory=dict)


POLICIES = Collection("retention", Policy, fields=("due_at",))
EXPIRIES = Collection(
    "expiries",
    Expiry,
    fields=("due_at", "state", "changed_at"),
    compound=(("state", "due_at"), ("state", "changed_at")),
)


class Retention:
    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self.looking: TaskRunner[Policy] = TaskRunner(
            kit.documents, POLICIES, work=self.look, give_up=self._look_later,
            clock=kit.clock, owner=kit.owner, exclusive=kit.exclusive, concurrency=1,
        )  # fmt: skip
        self.removing: TaskRunner[Expiry] = TaskRunner(
            kit.documents, EXPIRIES, work=self.expire, give_up=self._try_later,
            clock=kit.clock, owner=kit.owner, exclusive=kit.exclusive, concurrency=2,
        )  # fmt: skip

    async def policy(self) -> Policy:
        return await self._kit.documents.get(POLICIES, _POLICY) or Policy(id=_POLICY)

    async def change(
        self, who: Principal, *, in_pacs_days: int | None, declined_days: int | None, undo_hours: int
    ) -> Policy:
        """Raises Refused. What was announced and does not fit any more stays."""
        rules.check({"in-pacs": in_pacs_days, "declined": declined_days}, undo_hours)
        said = f"in the PACS: {in_pacs_days or 'for good'}, declined: {declined_days or 'for good'}, "
        await record(self._kit, who, "retention-changed", "retention", _POLICY, f"{said}{undo_hours} h")
        for _ in range(_TRIES):
            policy = await self.policy()
            policy.in_pacs_days, policy.declined_days = in_pacs_days, declined_days
            policy.undo_hours = undo_hours
            policy.due_at, policy.lease_until = self._kit.clock(), None
            try:
                await self._kit.documents.save(POLICIES, policy)
            except VersionConflict:
                continue
            self.looking.poke()
            return policy
        raise TransientError("the policy is being changed by many at once")

    async def figure(self, days: dict[Rule, int | None]) -> Figure:
        """What a policy with these days would let go now."""
        studies, size, by_rule = 0, 0, dict.fromkeys(RULES, 0)
        for rule, number in days.items():
            if number is None:
                continue
            found = await self._kit.documents.project(
                CASES, ["bytes"], self._spare(rule, number), order="spare_since", limit=_COUNTED
            )
            by_rule[rule] = len(found)
            studies += len(found)
            size += sum(row["bytes"] for row in found)
        return Figure(studies, size, by_rule)

    async def listed(self, state: str, limit: int = 100) -> list[tuple[Expiry, Case | None]]:
        """Announced: the next first. Others: the newest first."""
        announced = state == "announced"
        page = await self._kit.documents.find(
            EXPIRIES,
            {"state": state},
            order="due_at" if announced else "changed_at",
            descending=not announced,
            limit=limit,
        )
        return [(one, await self._kit.documents.get(CASES, one.id)) for one in page.items]

    async def keep(self, who: Principal, study_id: str, reason: str = "") -> None:
        """Keep the images of this study until somebody says otherwise. Raises NotFound, Stale."""
        await record(self._kit, who, "kept", "study", study_id, reason[:200])
        await self._mark(study_id, kept=True)
        for _ in range(_TRIES):
            known = await self._kit.documents.get(EXPIRIES, study_id)
            kept = Expiry(
                id=study_id, state="kept", changed_at=self._kit.clock(), account=who.account.name,
                reason=reason[:200],
            )  # fmt: skip
            kept.version = known.version if known is not None else 0
            try:
                await self._kit.documents.save(EXPIRIES, kept)
            except VersionConflict:
                continue
            return
        raise TransientError("a study's retention is being changed by many at once")

    async def release(self, who: Principal, study_id: str) -> None:
        """Let the policy apply to it again. Raises NotFound, Stale."""
        await record(self._kit, who, "released", "study", study_id)
        await self._mark(study_id, kept=False)
        expiry = await self._kit.documents.get(EXPIRIES, study_id)
        if expiry is not None and expiry.state == "kept":
            await self._take_back(expiry)

    async def _mark(self, study_id: str, *, kept: bool) -> None:
        """On the case itself: what lets the images go is a save of the same document."""
        for _ in range(_TRIES):
            case = await self._kit.documents.get(CASES, study_id) if len(study_id) <= 64 else None
            if case is None or case.study is None:
                raise NotFound("no-study", "There is no such study, or it is not yours to see.")
            if case.leaving is not None or case.gone is not None:
                raise Stale("too-late", "The images of this study were removed already.")
            if case.kept is kept:
                return
            case.kept = kept
            refresh(case)
            try:
                await self._kit.documents.save(CASES, case)
            except VersionConflict:
                continue
            return
        raise TransientError("a case is being changed by many at once")

    async def look(self, policy: Policy) -> None:
        """Announce what may go, and take back what may not any more."""
        if not policy.caught_up:
            await self._catch_up()
        for rule, number in policy.days.items():
            if number is not None:
                async for case in self._cases(rule, number):
                    await self._announce(case, rule, policy)
        for expiry, about in await self.listed("announced", _COUNTED):
            if rules.rule_for(about, policy.days, self._kit.clock()) is None:
                await self._take_back(expiry)
        for expiry, about in await self.listed("removing", _COUNTED):
            if about is None or (about.leaving is None and about.gone is None):
                await self._take_back(expiry)
        policy.caught_up, policy.looked_at = True, self._kit.clock()
        policy.due_at, policy.lease_until, policy.attempts = policy.looked_at + _EVERY, None, 0
        await self._kit.documents.save(POLICIES, policy)
        self.removing.poke()

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
        raise TransientError("a case is being changed by many at once")

    async def removed(self, event: StudyRemoved) -> None:
        """The ledger: what went, when and by which rule."""
        for _ in range(_TRIES):
            known = await self._kit.documents.get(EXPIRIES, event.study_id)
            if known is not None and known.state == "removed" and known.changed_at >= event.time:
                return
            gone = Expiry(
                id=event.study_id, state="removed", rule=event.rule, bytes=event.bytes, changed_at=event.time
            )
            gone.version = known.version if known is not None else 0
            try:
                await self._kit.documents.save(EXPIRIES, gone)
            except VersionConflict:
                continue
            return
        raise TransientError("a study's retention is being changed by many at once")

    async def _announce(self, case: Case, rule: Rule, policy: Policy) -> None:
        known = await self._kit.documents.get(EXPIRIES, case.id)
        if known is not None and known.state != "removed":
            return
        now = self._kit.clock()
        expiry = Expiry(
            id=case.id, state="announced", rule=rule, bytes=case.bytes, changed_at=now,
            due_at=now + timedelta(hours=policy.undo_hours),
        )  # fmt: skip
        expiry.version = known.version if known is not None else 0
        try:
            await self._kit.documents.save(EXPIRIES, expiry)
        except VersionConflict:
            return

    async def _take_back(self, expiry: Expiry) -> None:
        try:
            await self._kit.documents.delete(EXPIRIES, expiry)
        except VersionConflict:
            return

    async def _cases(self, rule: Rule, days: int) -> AsyncIterator[Case]:
        cursor = None
        while True:
            page = await self._kit.documents.find(
                CASES, self._spare(rule, days), order="spare_since", limit=_PAGE, cursor=cursor
            )
            for case in page.items:
                yield case
            cursor = page.cursor
            if cursor is None:
                return

    async def _catch_up(self) -> None:
        """Cases saved by a version that did not know this yet."""
        for state in RULES:
            cursor = None
            while True:
                page = await self._kit.documents.find(
                    CASES, {"state": state}, order="arrived_at", limit=_PAGE, cursor=cursor
                )
                for case in page.items:
                    before = (case.spare_since, case.bytes)
                    refresh(case)
                    if (case.spare_since, case.bytes) != before:
                        await self._kit.documents.save(CASES, case)
                cursor = page.cursor
                if cursor is None:
                    break

    def _spare(self, rule: Rule, days: int) -> dict[str, str | Range]:
        return {"state": rule, "spare_since": Range(high=rules.limit(days, self._kit.clock()))}

    async def _look_later(self, policy: Policy, reason: str) -> None:
        policy.due_at, policy.lease_until, policy.attempts = self._kit.clock() + _EVERY, None, 0
        await self._kit.documents.save(POLICIES, policy)

    async def _try_later(self, expiry: Expiry, reason: str) -> None:
        expiry.due_at, expiry.lease_until, expiry.attempts = self._kit.clock() + _EVERY, None, 0
        await self._kit.documents.save(EXPIRIES, expiry)
