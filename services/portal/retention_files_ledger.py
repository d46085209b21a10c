"""The ledger of documents and files put aside: what persons keep, what came back, and what went."""

import contextlib
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from kit.documents.port import Range, Where
from kit.errors import Contended, NotFound, Stale, VersionConflict
from kit.identity import Principal
from kit.service import Kit
from schemas.validate import SubmissionCleared
from services.portal.accounts import record
from services.portal.models import CASES
from services.portal.retention_lines import forget, lines, put
from services.portal.retention_models import FILE_EXPIRIES, FileExpiry, Policy, file_expiry_id
from services.portal.rules import files as rules
from services.portal.rules.files import FILE_RULES, FileRule
from services.portal.tracking.models import TRACKS, Track

_log = logging.getLogger(__name__)
_TRIES = 20
_PAGE = 200
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
CAUGHT_UP_A_LOOK = 2000


async def keep(kit: Kit, who: Principal, submission_id: str, rule: FileRule, reason: str = "") -> None:
    """Keep these files until somebody says otherwise. Raises NotFound, Stale.

    First the line, then the track: a look finishes what was cut off between the two.
    """
    track = await _track(kit, submission_id, rule)
    await record(kit, who, "files-kept", "submission", submission_id, reason[:200])
    kept = FileExpiry(
        id=file_expiry_id(submission_id, rule), submission_id=submission_id, rule=rule, state="kept",
        files=rules.number(track, rule), changed_at=kit.clock(), account=who.account.name,
        reason=reason[:200],
    )  # fmt: skip
    await _put(kit, kept)
    await _mark(kit, submission_id, rule, kept=True)


async def release(kit: Kit, who: Principal, submission_id: str, rule: FileRule) -> None:
    """Let the policy apply to them again. Raises NotFound, Stale."""
    await _track(kit, submission_id, rule)
    await record(kit, who, "files-released", "submission", submission_id)
    await _mark(kit, submission_id, rule, kept=False)
    expiry = await kit.documents.get(FILE_EXPIRIES, file_expiry_id(submission_id, rule))
    if expiry is not None and expiry.state == "kept":
        await forget(kit, FILE_EXPIRIES, expiry)


async def finish_keeping(kit: Kit) -> None:
    """What is in the list of what is kept is kept."""
    async for expiry in lines(kit, FILE_EXPIRIES, "kept"):
        track = await kit.documents.get(TRACKS, expiry.submission_id)
        if track is None or _lost(track, expiry.rule) or expiry.rule in track.kept:
            continue
        now = await kit.documents.get(FILE_EXPIRIES, expiry.id)
        if now is not None and now.state == "kept":
            with contextlib.suppress(Stale):  # let go at the same moment
                await _mark(kit, expiry.submission_id, expiry.rule, kept=True)


async def cleared(kit: Kit, event: SubmissionCleared) -> None:
    rule = next((rule for rule in FILE_RULES if rule == event.rule), None)
    if rule is None:
        return
    gone = FileExpiry(
        id=file_expiry_id(event.submission_id, rule), submission_id=event.submission_id, rule=rule,
        state="removed", files=event.files, bytes=event.bytes, changed_at=event.time,
    )  # fmt: skip
    await _put(kit, gone)


async def take_back(kit: Kit, judged: Track, rule: FileRule) -> None:
    """What was let go was not removed: it stays, until it is let go anew or kept."""
    decided = judged.leaving[rule]

    def change(track: Track) -> bool:
        if track.leaving.get(rule) != decided:
            return False
        del track.leaving[rule]
        return True

    _log.warning("files of %s (%s) were let go and not removed: they stay", judged.id, rule)
    await _change(kit, judged.id, change)


async def came_back(kit: Kit, submission_id: str, back: Mapping[str, int]) -> None:
    """Images of these studies came again, with that revision: the submission's files stay with them. Where
    they were being removed, what validate says of that counts."""
    await _change(kit, submission_id, lambda track: rules.take_back(track, back))


async def catch_up(kit: Kit, policy: Policy, now: datetime) -> datetime | None:
    """What a version before this one did not note, or what was heard in an order that left it out: which
    studies left, and what was let go and is nowhere in the list. The first time of all submissions, then of
    some at every look, in the order they were opened. Returns from where the next look goes on.
    """
    cursor, seen = None, 0
    first = policy.tracks_from or _LONG_AGO
    where: Where = {"opened_at": Range(low=first)} if policy.tracks_caught_up else {}
    while True:
        page = await kit.documents.find(TRACKS, where, order="opened_at", limit=_PAGE, cursor=cursor)
        for track in page.items:
            if not rules.counts(track):
                await _catch_up(kit, track, policy, now)
        cursor, seen = page.cursor, seen + len(page.items)
        if cursor is None:
            return None
        if policy.tracks_caught_up and seen >= CAUGHT_UP_A_LOOK:
            return page.items[-1].opened_at


async def _catch_up(kit: Kit, known: Track, policy: Policy, now: datetime) -> None:
    cases = [await kit.documents.get(CASES, study_id) for study_id in known.studies]
    found = {case.id: since for case in cases if case is not None and (since := rules.left(case)) is not None}

    def change(track: Track) -> bool:
        before = track.model_copy(deep=True)
        for study_id, since in found.items():
            if study_id in track.studies:
                rules.take_left(track, study_id, since)
        for rule in FILE_RULES:
            if rules.not_removed(track, rule, policy.file_days[rule], now):
                del track.leaving[rule]
        rules.refresh(track)
        return track != before

    if change(known):
        await _change(kit, known.id, change)


async def _put(kit: Kit, line: FileExpiry) -> None:
    """In place of whatever is known of these files; what has gone stays so."""
    await put(
        kit,
        FILE_EXPIRIES,
        line,
        lambda known: known.state == "removed",
        Contended("a submission's retention"),
    )


async def _mark(kit: Kit, submission_id: str, rule: FileRule, *, kept: bool) -> None:
    """On the track itself: what lets the files go is a save of the same document."""

    def change(track: Track) -> bool:
        _check(track, rule)
        if (rule in track.kept) is kept:
            return False
        track.kept = [*track.kept, rule] if kept else [one for one in track.kept if one != rule]
        return True

    await _change(kit, submission_id, change)


async def _change(kit: Kit, submission_id: str, change: Callable[[Track], bool]) -> None:
    for _ in range(_TRIES):
        track = await kit.documents.get(TRACKS, submission_id)
        if track is None or not change(track):
            return
        rules.refresh(track)
        try:
            await kit.documents.save(TRACKS, track)
        except VersionConflict:
            continue
        return
    raise Contended("a submission's track")


async def _track(kit: Kit, submission_id: str, rule: FileRule) -> Track:
    """Raises NotFound, Stale."""
    track = await kit.documents.get(TRACKS, submission_id) if len(submission_id) <= 64 else None
    if track is None:
        raise NotFound("no-submission", "There is no such submission, or it is not yours to see.")
    _check(track, rule)
    return track


def _lost(track: Track, rule: FileRule) -> bool:
    return rule in track.leaving or rule in track.gone


def _check(track: Track, rule: FileRule) -> None:
    """Raises Stale."""
    if rule in track.gone:
        raise Stale("too-late", "These files were removed already.")
    if rule in track.leaving:
        raise Stale(
            "too-late",
            "These files are being removed. If they are still here after a day, they can be kept again.",
        )
