"""Pure decisions about submissions: what may still come, what closing means."""

from datetime import datetime, timedelta

from kit.errors import Refused, TooLarge
from schemas.shapes import ObjectPart
from schemas.upload import BatchReceived, SubmissionClosed, SubmissionOpened
from services.upload import ordinals
from services.upload.documents import SubmissionDoc
from services.upload.refusals import Conflict, submission_closed
from services.upload.settings import UploadSettings


def opened(submission: SubmissionDoc) -> SubmissionOpened:
    return SubmissionOpened.first(
        time=submission.opened_at,
        key=submission.id,
        correlation_id=submission.id,
        submission_id=submission.id,
        sender=submission.sender,
        recipients=submission.recipients,
        purpose=submission.purpose,
        urgency=submission.urgency,
        note=submission.note,
        declared_files=submission.declared_files,
    )


def check_batch(
    submission: SubmissionDoc,
    ranges: ordinals.Ranges,
    size: int,
    settings: UploadSettings,
    *,
    numbered_here: bool = False,
) -> None:
    """Whether a batch of these ordinals and this many bytes may join. Raises Refused. Ordinals that were
    given by this house, to files it has acknowledged, have no bound."""
    if submission.state == "closed":
        raise submission_closed()
    if ordinals.overlap(submission.received, ranges):
        raise Conflict(
            "ordinals-received",
            "Some of these files have come already. Ask for the ordinals and send the rest.",
        )
    bound = settings.max_files if submission.declared_files is None else submission.declared_files
    if ranges[-1][1] >= bound and not numbered_here:
        raise Refused("bad-ordinals", f"The ordinals go beyond the {bound:,} files of this submission.")
    if len(submission.batches) >= settings.max_batches:
        raise TooLarge("too-many-batches", "This submission has too many batches. Put more files into each.")
    if submission.bytes + size > settings.max_submission_bytes:
        raise TooLarge(
            "submission-too-large",
            f"This submission would exceed {settings.max_submission_bytes:,} bytes. Open another one.",
        )


def check_batch_shape(ranges: ordinals.Ranges, size: int, settings: UploadSettings) -> None:
    """Whether one tus upload may look like this. Raises Refused."""
    count = ordinals.size(ranges)
    if count > settings.batch_files:
        raise Refused("too-many-in-batch", f"A batch holds at most {settings.batch_files:,} files.")
    if size <= 0:
        raise Refused("empty-batch", "An upload needs a length of at least one byte.")
    limit = settings.max_file_bytes if count == 1 else 2 * settings.batch_bytes
    if size > limit:
        raise TooLarge(
            "batch-too-large",
            f"An upload of {'one file' if count == 1 else 'several files'} may have {limit:,} bytes at most.",
        )


def add_batch(
    submission: SubmissionDoc,
    batch_id: str,
    ranges: ordinals.Ranges,
    parts: tuple[ObjectPart, ...],
    now: datetime,
    settings: UploadSettings,
) -> BatchReceived:
    """Make the batch part of the submission and return the event to save with it."""
    submission.batches.append(batch_id)
    submission.received = ordinals.merged([*submission.received, *ranges])
    submission.files += ordinals.size(ranges)
    submission.bytes += sum(part.size for part in parts)
    submission.active_at = now
    submission.due_at = due(submission, now, settings)
    return BatchReceived.first(
        time=now,
        key=batch_id,
        correlation_id=submission.id,
        submission_id=submission.id,
        batch_id=batch_id,
        sender=submission.sender,
        parts=parts,
        ordinals=tuple(ordinals.numbers(ranges)),
        sequence=len(submission.batches),
    )


def due(submission: SubmissionDoc, active: datetime, settings: UploadSettings) -> datetime:
    """When any process looks whether it has been quiet for too long. One that is kept is looked at by its
    process before."""
    wait = submission.quiet_s + (settings.abandoned_s if submission.kept else 0)
    return active + timedelta(seconds=wait)


def close(submission: SubmissionDoc, reason: str, now: datetime) -> SubmissionClosed:
    """Close it and return the event to save with it."""
    submission.state = "closed"
    submission.reason = reason  # type: ignore[assignment]
    submission.closed_at = now
    submission.due_at = None
    return SubmissionClosed.first(
        time=now,
        key=submission.id,
        correlation_id=submission.id,
        submission_id=submission.id,
        sender=submission.sender,
        files=submission.files,
        batches=len(submission.batches),
        reason=reason,
    )
