"""When documents and files put aside may go: what the policy says of a submission. Pure.

They belong to no study, and nothing proves that anybody else has them. So they go by days of their own,
counted from when the last of the submission's studies had no images here any more; where it brought no study,
from when every file of it had its state.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal

from kit.errors import NotFound
from services.portal.models import Case
from services.portal.rules.retention import EVERY, limit
from services.portal.tracking.models import FilesGone, StudyLeft, Track

FileRule = Literal["documents", "quarantine"]
FILE_RULES: tuple[FileRule, ...] = ("documents", "quarantine")
WITHIN = timedelta(days=1)
"""Files that were let go are removed within that time, or stay."""


def rule_of(text: str) -> FileRule:
    """Raises NotFound."""
    rule = next((rule for rule in FILE_RULES if rule == text), None)
    if rule is None:
        raise NotFound("no-submission", "There is no such submission, or it is not yours to see.")
    return rule


def number(track: Track, rule: str) -> int:
    """How many such files came. Images put aside because they conflict with others are never among those
    that may go: they keep their study, and the study what came with it."""
    return track.tally.document if rule == "documents" else track.tally.quarantined


def refresh(track: Track) -> None:
    """Derive since when files of it may go, after anything was taken in."""
    track.documents_since = _since(track, "documents")
    track.quarantine_since = _since(track, "quarantine")


def since(track: Track, rule: FileRule) -> datetime | None:
    return track.documents_since if rule == "documents" else track.quarantine_since


def rule_allows(track: Track | None, rule: FileRule, days: int | None, now: datetime) -> bool:
    """Whether these files may go now by what the submission's own track says."""
    spare = since(track, rule) if track is not None else None
    return spare is not None and days is not None and spare < limit(days, now)


def not_removed(track: Track, rule: FileRule, days: int | None, now: datetime) -> bool:
    """Whether files that were let go stayed all the same: nobody removes them any more. An hour is for clocks
    that differ; once nothing may go by the policy, nobody waits for it."""
    decided = track.leaving.get(rule)
    return decided is not None and now > decided + WITHIN + (EVERY if days is not None else timedelta())


def take_left(track: Track, study_id: str, left: StudyLeft) -> bool:
    """False when that, or something later, is known of the study. What was let go when something earlier was
    known is not: validate finds the study changed."""
    known = track.left.get(study_id)
    if known is not None and known.revision >= left.revision:
        return False
    if known is not None:
        track.leaving.clear()
    track.left[study_id] = left
    refresh(track)
    return True


def take_cleared(track: Track, rule: str, gone: FilesGone) -> bool:
    if rule in track.gone:
        return False
    track.gone[rule] = gone
    track.leaving.pop(rule, None)
    refresh(track)
    return True


def left(case: Case | None) -> StudyLeft | None:
    """None while it has images here, or nobody knows."""
    if case is None or case.study is None or case.gone is None:
        return None
    return StudyLeft(revision=case.study.revision, time=case.gone.time)


def came_back(track: Track, cases: Iterable[Case]) -> dict[str, int]:
    """Studies of which images came after those were removed that the track knows of; each with the revision
    that has them."""
    return {
        case.id: case.study.revision
        for case in cases
        if case.id in track.left
        and case.study is not None
        and case.gone is None
        and case.study.revision > track.left[case.id].revision
    }


def take_back(track: Track, back: Mapping[str, int]) -> bool:
    """These studies had images at that revision. False when nothing earlier than that is known: they may
    have left once more since."""
    stale = [
        one for one, revision in back.items() if one in track.left and track.left[one].revision < revision
    ]
    for study_id in stale:
        del track.left[study_id]
    if stale:
        track.leaving.clear()
        refresh(track)
    return bool(stale)


def counts(track: Track) -> bool:
    """Whether days count for all of its files that are here and nobody keeps."""
    here = [rule for rule in FILE_RULES if number(track, rule) and rule not in {*track.gone, *track.kept}]
    return all(since(track, rule) is not None for rule in here)


def revisions(track: Track, cases: Mapping[str, Case]) -> dict[str, int] | None:
    """Of all its studies, each without images here; None when one has some."""
    found = {study_id: left(cases.get(study_id)) for study_id in track.studies}
    if any(one is None for one in found.values()):
        return None
    return {study_id: one.revision for study_id, one in found.items() if one is not None}


def _since(track: Track, rule: FileRule) -> datetime | None:
    complete = track.closed_at is not None and track.validated_at is not None and not track.tally.waiting
    if not complete or not number(track, rule) or not set(track.studies) <= track.left.keys():
        return None
    if rule in track.kept or rule in track.leaving or rule in track.gone:
        return None
    assert track.validated_at is not None  # for mypy: complete says so
    return max([track.validated_at, *(track.left[study_id].time for study_id in track.studies)])
