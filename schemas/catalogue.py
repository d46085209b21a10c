"""All topics, and how their logs are kept. The one place that adapters read it from."""

from dataclasses import dataclass

from schemas import forward, match, notify, portal, upload, validate, view
from schemas.envelope import Event


@dataclass(frozen=True)
class Topic:
    event: type[Event]
    partitions: int = 64
    retention_days: int = 14


TOPICS: dict[str, Topic] = {
    event.topic: Topic(event)
    for event in (
        upload.SubmissionOpened,
        upload.BatchReceived,
        upload.SubmissionClosed,
        upload.CommitmentReported,
        validate.BatchExpanded,
        validate.PackWritten,
        validate.PackMerged,
        validate.BatchSettled,
        validate.StudyArrived,
        validate.StudyUpdated,
        validate.StudyRemoved,
        validate.SubmissionValidated,
        validate.FileQuarantined,
        match.Hl7Received,
        match.PatientChanged,
        match.PatientMerged,
        match.StudyMatched,
        match.StudyUnmatched,
        portal.StudyDecided,
        portal.StudyExpired,
        portal.AccountMailRequested,
        view.StudyViewed,
        forward.StudyForwarded,
        forward.ForwardFailed,
        notify.NoticeSent,
        notify.NoticeFailed,
    )
}
