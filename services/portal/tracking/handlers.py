"""One function an event, each ending in one save of the submission's track."""

from collections.abc import Callable

from kit.documents.port import Documents
from kit.errors import TransientError, VersionConflict
from kit.service import Kit
from schemas.upload import SubmissionClosed, SubmissionOpened
from schemas.validate import SubmissionValidated
from services.portal.tracking.models import TRACKS, Track

_TRIES = 50


async def submission_opened(kit: Kit, event: SubmissionOpened) -> None:
    def take(track: Track) -> bool:
        if track.opened_at is not None:
            return False
        track.sender, track.sender_id = event.sender, event.sender.id
        track.recipients = list(event.recipients)
        track.purpose, track.urgency = event.purpose, event.urgency
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
    def take(track: Track) -> bool:
        if track.revision >= event.revision:
            return False
        track.revision, track.validated_at = event.revision, event.time
        track.tally, track.findings, track.studies = event.tally, list(event.findings), list(event.studies)
        return True

    await _change(kit.documents, event.submission_id, take)


async def _change(documents: Documents, submission_id: str, take: Callable[[Track], bool]) -> None:
    for _ in range(_TRIES):
        track = await documents.get(TRACKS, submission_id) or Track(id=submission_id)
        if not take(track):
            return
        try:
            await documents.save(TRACKS, track)
        except VersionConflict:
            continue
        return
    raise TransientError("a submission's track is being changed by many at once")
