"""All topics, and how their logs are kept. The one place that adapters read it from."""

from dataclasses import dataclass

from schemas import forward, match, notify, portal, upload, validate, view
from schemas.envelope import Event


@dataclass(frozen=True, kw_only=True)
class Log:
    """How a topic's log is kept. Compacted: the newest record of every key, for ever."""

    partitions: int = 64
    retention_days: int = 14
    compacted: bool = False

    def configuration(self) -> dict[str, str]:
        """In Kafka's words."""
        if self.compacted:
            return {"cleanup.policy": "compact"}
        return {"cleanup.policy": "delete", "retention.ms": str(self.retention_days * 86_400_000)}


@dataclass(frozen=True)
class Topic(Log):
    event: type[Event]
    news: bool = False
    """Of use only as it happens, to who hears it then: no part of what happened."""


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
        validate.SubmissionCleared,
        validate.FileQuarantined,
        match.Hl7Received,
        match.PatientChanged,
        match.PatientMerged,
        match.StudyMatched,
        match.StudyUnmatched,
        portal.StudyDecided,
        portal.StudyExpired,
        portal.SubmissionExpired,
        portal.AccountMailRequested,
        view.StudyViewed,
        forward.StudyForwarded,
        forward.ForwardFailed,
        forward.DeliveryRetried,
        forward.DestinationAway,
        forward.DestinationBack,
        notify.NoticeSent,
        notify.NoticeFailed,
    )
}
TOPICS[portal.PagesChanged.topic] = Topic(portal.PagesChanged, partitions=1, retention_days=1, news=True)

LETTERS = "dead-letters"
"""The bus's own, beside the events: what could not be handled, a record a letter, its newest state last."""

LOGS: dict[str, Log] = {**TOPICS, LETTERS: Log(partitions=1, compacted=True)}
