"""Documents and files put aside go by the same policy and in the same steps as images (retention.py), once
no study of their submission has images here. Nothing proves that they are anywhere else: their days are off
until an administrator sets them.

One save of the submission's track says that they go; validate looks once more, and deletes.
"""

import logging
from datetime import datetime

from kit.documents.port import Range
from kit.documents.walking import each
from kit.errors import Contended, VersionConflict
from kit.service import Kit
from kit.tasks import TaskRunner
from schemas.portal import SubmissionExpired
from schemas.validate import SubmissionCleared
from services.portal import retention_files_ledger as ledger
from services.portal.models import CASES
from services.portal.retention_lines import (
    announce,
    bring_near,
    forget,
    lines,
    listed,
    may_go_on,
    saved_policy,
    try_later,
)
from services.portal.retention_models import (
    FILE_EXPIRIES,
    FileExpiry,
    Policy,
    file_expiry_id,
)
from services.portal.rules import files as rules
from services.portal.rules.files import FileRule
from services.portal.rules.retention import limit
from services.portal.sharing import shared_until
from services.portal.tracking.models import TRACKS, Track

_log = logging.getLogger(__name__)
_TRIES = 20
_COUNTED = 100_000
MOST_A_LOOK = 2000
"""Announced at one look; the next one goes on."""
MOST_AN_HOUR = 2000
_MANY = "retention removes files of no more than %s submissions an hour"


class Files:
    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self.runner: TaskRunner[FileExpiry] = TaskRunner(
            kit.documents, FILE_EXPIRIES, work=self.expire, give_up=self._give_up,
            clock=kit.clock, owner=kit.owner, exclusive=kit.exclusive, concurrency=2,
        )  # fmt: skip

    async def figure(self, days: dict[FileRule, int | None]) -> tuple[int, int]:
        """How many submissions have such files that a policy with these days would let go now, and how many
        files those are."""
        submissions: set[str] = set()
        count = 0
        for rule, number in days.items():
            if number is None:
                continue
            old = Range(high=limit(number, self._kit.clock()))
            field = f"{rule}_since"
            found = await self._kit.documents.project(
                TRACKS, ["tally"], {field: old}, order=field, limit=_COUNTED
            )
            submissions |= {row["id"] for row in found}
            tallied = "document" if rule == "documents" else "quarantined"
            count += sum(row["tally"][tallied] for row in found)
        return len(submissions), count

    async def listed(self, state: str, limit: int = 100) -> list[tuple[FileExpiry, Track | None]]:
        """Announced: the next first. Others: the newest first."""
        found = await listed(self._kit, FILE_EXPIRIES, state, limit)
        return [(one, await self._kit.documents.get(TRACKS, one.submission_id)) for one in found]

    async def cleared(self, event: SubmissionCleared) -> None:
        """The ledger: what went, when and by which rule."""
        await ledger.cleared(self._kit, event)

    async def look(self, policy: Policy, now: datetime) -> bool:
        """Announce what may go, and take back what may not any more. True when some are left for later."""
        await self._judge(policy, now)
        policy.tracks_from = await ledger.catch_up(self._kit, policy, now)
        policy.tracks_caught_up = True
        await ledger.finish_keeping(self._kit)
        left = MOST_A_LOOK
        for rule, number in policy.file_days.items():
            if number is None:
                continue
            field = f"{rule}_since"
            old = {field: Range(high=limit(number, now))}
            async for track in each(self._kit.documents, TRACKS, old, order=field):
                if left == 0:
                    _log.warning("retention announces files of no more than %s at a look", MOST_A_LOOK)
                    return True
                left -= await self._announce(track, rule, policy, now)
        return False

    async def expire(self, expiry: FileExpiry) -> None:
        """The announced hour has come: the files go, if they still may."""
        rule = expiry.rule
        for _ in range(_TRIES):
            policy, now = await saved_policy(self._kit), self._kit.clock()
            track = await self._kit.documents.get(TRACKS, expiry.submission_id)
            if track is None or rule not in track.leaving:
                studies = await self._free(track, rule, policy, now)
                if track is None or studies is None:
                    await self._kit.documents.delete(FILE_EXPIRIES, expiry)
                    return
                if not await may_go_on(self._kit, FILE_EXPIRIES, expiry, policy, MOST_AN_HOUR, _MANY):
                    await try_later(self._kit, FILE_EXPIRIES, expiry)
                    return
                track.leaving[rule] = now
                track.let_go += 1
                rules.refresh(track)
                event = SubmissionExpired.first(
                    time=now,
                    key=track.id,
                    correlation_id=track.id,
                    step=f"{rule}-{track.let_go}",
                    submission_id=track.id,
                    submission_revision=track.revision,
                    rule=rule,
                    studies=studies,
                    not_after=now + rules.WITHIN,
                )
                try:
                    await self._kit.documents.save(TRACKS, track, [event])
                except VersionConflict:
                    continue
            expiry.state, expiry.changed_at = "removing", now
            expiry.due_at, expiry.lease_until = None, None
            await self._kit.documents.save(FILE_EXPIRIES, expiry)
            return
        raise Contended("a submission's track")

    async def _free(
        self, track: Track | None, rule: FileRule, policy: Policy, now: datetime
    ) -> dict[str, int] | None:
        """The revisions of its studies, when its files may go now: none has images here, by what is known of
        the studies themselves, and no link to any of them works."""
        if track is None or not rules.rule_allows(track, rule, policy.file_days[rule], now):
            return None
        found = [await self._kit.documents.get(CASES, study_id) for study_id in track.studies]
        cases = {case.id: case for case in found if case is not None}
        if back := rules.came_back(track, cases.values()):
            await ledger.came_back(self._kit, track.id, back)
            return None
        for case in cases.values():
            if (since := rules.left(case)) is not None:
                rules.take_left(track, case.id, since)
        if not rules.rule_allows(track, rule, policy.file_days[rule], now):
            return None  # it left again only lately
        for study_id in cases:
            if await shared_until(self._kit, study_id) is not None:
                return None
        return rules.revisions(track, cases)

    async def _judge(self, policy: Policy, now: datetime) -> None:
        """Look again at all that is to go."""
        async for expiry in lines(self._kit, FILE_EXPIRIES, "announced"):
            track = await self._kit.documents.get(TRACKS, expiry.submission_id)
            if track is not None and expiry.rule in track.leaving:
                continue  # cut off before the line said so: whoever takes it up again finishes it
            if await self._free(track, expiry.rule, policy, now) is None:
                await forget(self._kit, FILE_EXPIRIES, expiry)
            else:
                await bring_near(self._kit, FILE_EXPIRIES, expiry, policy, now)
        async for expiry in lines(self._kit, FILE_EXPIRIES, "removing"):
            track = await self._kit.documents.get(TRACKS, expiry.submission_id)
            if track is None or (expiry.rule not in track.leaving and expiry.rule not in track.gone):
                await forget(self._kit, FILE_EXPIRIES, expiry)
            elif expiry.rule in track.leaving:
                found = [await self._kit.documents.get(CASES, study_id) for study_id in track.studies]
                if back := rules.came_back(track, [case for case in found if case is not None]):
                    await ledger.came_back(self._kit, track.id, back)
                elif rules.not_removed(track, expiry.rule, policy.file_days[expiry.rule], now):
                    await ledger.take_back(self._kit, track, expiry.rule)
                    await forget(self._kit, FILE_EXPIRIES, expiry)

    async def _announce(self, track: Track, rule: FileRule, policy: Policy, now: datetime) -> bool:
        """True when it was announced now."""
        expiry_id = file_expiry_id(track.id, rule)
        if await self._kit.documents.get(FILE_EXPIRIES, expiry_id) is not None:
            return False
        if await self._free(track, rule, policy, now) is None:
            return False
        expiry = FileExpiry(
            id=expiry_id, submission_id=track.id, rule=rule, state="announced",
            files=rules.number(track, rule), changed_at=now,
        )  # fmt: skip
        announce(expiry, policy, now)
        try:
            await self._kit.documents.save(FILE_EXPIRIES, expiry)
        except VersionConflict:
            return False
        return True

    async def _give_up(self, expiry: FileExpiry, reason: str) -> None:
        await try_later(self._kit, FILE_EXPIRIES, expiry)
