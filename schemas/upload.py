"""Events of the upload service."""

from typing import ClassVar, Literal

from pydantic import Field

from schemas.envelope import Event
from schemas.shapes import ObjectPart, Person, Sender


class SubmissionOpened(Event):
    """A sender announced what it is about to send. Key: the submission."""

    topic: ClassVar[str] = "submission-opened"
    owner: ClassVar[str] = "upload"
    submission_id: str
    sender: Sender
    recipients: tuple[Person, ...] = ()
    purpose: str = ""
    urgency: Literal["routine", "urgent"] = "routine"
    note: str = Field(
        default="", description="what the sender says to whoever reads the images; it may name a patient"
    )
    declared_files: int | None = Field(default=None, description="None: not known before closing")


class BatchReceived(Event):
    """Files arrived and are durable: one tar of regular files named "<ordinal>/<path>", stored as
    parts that follow each other. Key: the batch.

    Batches made by expanding an archive are published by validate under batch-expanded instead.
    """

    topic: ClassVar[str] = "batch-received"
    owner: ClassVar[str] = "upload"
    submission_id: str
    batch_id: str
    sender: Sender
    parts: tuple[ObjectPart, ...]
    ordinals: tuple[int, ...] = Field(
        description="what the sender says the batch holds; each ends in a state"
    )
    sequence: int = Field(description="1, 2, 3 … within the submission")


class SubmissionClosed(Event):
    """The sender has sent all, or was quiet for long enough. Key: the submission."""

    topic: ClassVar[str] = "submission-closed"
    owner: ClassVar[str] = "upload"
    submission_id: str
    sender: Sender
    files: int = Field(description="how many ordinals were sent")
    batches: int = Field(description="how many batches were received, sequence 1 to this number")
    reason: Literal["sender", "quiet", "expired"] | str = "sender"


class CommitmentReported(Event):
    """A PACS answered a storage commitment request (N-EVENT-REPORT, PS3.4 J.3). Key: the transaction."""

    topic: ClassVar[str] = "commitment-reported"
    owner: ClassVar[str] = "upload"
    transaction_uid: str
    committed: tuple[str, ...] = Field(description="SOP Instance UIDs")
    failed: tuple[tuple[str, int], ...] = Field(default=(), description="SOP Instance UID, failure reason")
    calling_ae: str = ""
