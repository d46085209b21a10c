"""What the upload service keeps. It alone writes these collections."""

from typing import Literal

from pydantic import BaseModel, Field

from kit.documents.port import Collection, Doc, Instant
from kit.tasks import TaskDoc
from schemas.shapes import Person, Sender
from services.upload.ordinals import Ranges


class SubmissionDoc(TaskDoc):
    """One act of sending. `due_at`: when to look whether it has been quiet for too long."""

    account_id: str
    sender: Sender
    recipients: tuple[Person, ...] = ()
    purpose: str = ""
    urgency: Literal["routine", "urgent"] = "routine"
    note: str = ""
    manifest_digest: str = ""
    declared_files: int | None = None
    declared_bytes: int | None = None
    state: Literal["open", "closed"] = "open"
    reason: Literal["", "sender", "quiet", "expired"] = ""
    quiet_s: int = Field(description="silence that closes it, in seconds")
    kept: bool = Field(
        default=False, description="a process whose spool may hold files of it closes it, others long after"
    )
    received: Ranges = Field(default_factory=list, description="ordinals of durable batches")
    files: int = 0
    bytes: int = 0
    batches: list[str] = Field(default_factory=list, description="ids; the place in the list is the sequence")
    opened_at: Instant
    active_at: Instant
    closed_at: Instant | None = None

    def goes_back_to(self) -> tuple[str, str]:
        return self.id, ""


class Announced(BaseModel):
    """A file that the sender says will come."""

    path: str = Field(max_length=4096)
    size: int = Field(ge=0)


class ManifestDoc(Doc):
    """Announced files `start` … of a submission, at most 1,000. Id: "<submission>-<start>"."""

    submission_id: str
    start: int
    files: list[Announced]


class Part(BaseModel):
    """A durable part of an upload; `name` is the last step of its object key."""

    name: str
    size: int


class UploadDoc(TaskDoc):
    """One tus upload; its id is the batch's. `due_at`: expiry, or finishing what a crash interrupted."""

    account_id: str
    submission_id: str
    length: int
    ordinals: Ranges
    parts: list[Part] = Field(default_factory=list, description="in order")
    offset: int = 0
    state: Literal["open", "complete", "registered"] = "open"
    checksummed: bool = False
    expires_at: Instant
    active_at: Instant

    def goes_back_to(self) -> tuple[str, str]:
        return self.submission_id, ""


SUBMISSIONS = Collection(
    "submissions",
    SubmissionDoc,
    fields=("account_id", "state", "opened_at", "due_at"),
    compound=(("account_id", "opened_at"), ("state", "opened_at"), ("account_id", "state", "opened_at")),
)
MANIFESTS = Collection("manifests", ManifestDoc, fields=("submission_id", "start"))
UPLOADS = Collection(
    "uploads", UploadDoc, fields=("submission_id", "state", "due_at"), compound=(("submission_id", "state"),)
)


def batch_prefix(submission_id: str, batch_id: str) -> str:
    return f"incoming/{submission_id}/{batch_id}/"


def part_key(submission_id: str, batch_id: str, name: str = "00000") -> str:
    return batch_prefix(submission_id, batch_id) + name
