"""One function an event, each ending in one save of the submission's track."""

from collections.abc import Callable

from kit.documents.port import Documents
from kit.errors import Contended, NotYet, VersionConflict
from kit.service import Kit
from schemas.upload import SubmissionClosed, SubmissionOpened
from schemas.validate import StudyRemoved, SubmissionCleared, SubmissionValidated
from services.portal.models import CASES
from services.portal.rules import files
from services.portal.rules.state import sent_in
from services.portal.tracking.models import TRACKS, FilesGone, StudyLeft, Track

_TRIES = 50


async def submission_opened(kit: Kit, event: SubmissionOpened) -> None:
    def take(track: Track) -> bool:
        if track.opened_at is not None:
            return False
        track.sender, track.sender_id = event.sender, event.sender.id
        track.recipients = list(event.recipients)
        track.purpose, track.urgency, track.note = event.purpose, event.urgency, event.note
        track.declared_files, track.opened_at = event.declared_files, event.time
        return True

    await _change(kit.documents, event.submission_id, take)


async def submission_closed(kit: Kit, event: SubmissionClosed) -> None:
    def take(track: Track) -> bool:
        if track.closed_at is not None:
            return False
        track.closed_at, track.close_reason, track.files = event.time, event.reason, event.files
        return True

    await _change(kit.documents, event.submission_id, take)


async def submission_validated(kit: Kit, event: SubmissionValidated) -> None:
    known = await _left(kit.documents, event)

    def take(track: Track) -> bool:
        if track.revision >= event.revision:
            return False
        track.revision, track.validated_at = event.revision, event.time
        track.tally, track.findings, track.studies = event.tally, list(event.findings), list(event.studies)
        track.leaving.clear()  # what was decided on the revision before is not done
        for study_id, left in known.items():
            files.take_left(track, study_id, left)
        return True

    await _change(kit.documents, event.submission_id, take)


async def _left(documents: Documents, event: SubmissionValidated) -> dict[str, StudyLeft]:
    """What it only brought once more may have gone before it was heard of."""
    if not event.tally.document and not event.tally.quarantined:
        return {}
    cases = [await documents.get(CASES, study_id) for study_id in event.studies]
    found = {case.id: files.left(case) for case in cases if case is not None}
    return {study_id: left for study_id, left in found.items() if left is not None}


async def study_removed(kit: Kit, event: StudyRemoved) -> None:
    """One save for each submission that brought it; each is complete in itself."""
    case = await kit.documents.get(CASES, event.study_id)
    if case is None:
        raise NotYet("the study")
    left = StudyLeft(revision=event.revision, time=event.time)
    for submission_id in sent_in(case):
        await _change(kit.documents, submission_id, lambda t: files.take_left(t, event.study_id, left))


async def submission_cleared(kit: Kit, event: SubmissionCleared) -> None:
    gone = FilesGone(time=event.time, files=event.files, bytes=event.bytes)
    await _change(kit.documents, event.submission_id, lambda t: files.take_cleared(t, event.rule, gone))


async def _change(documents: Documents, submission_id: str, take: Callable[[Track], bool]) -> None:
    for _ in range(_TRIES):
        track = await documents.get(TRACKS, submission_id) or Track(id=submission_id)
        if not take(track):
            return
        files.refresh(track)
        try:
            await documents.save(TRACKS, track)
        except VersionConflict:
            continue
        return
    raise Contended("a submission's track")
