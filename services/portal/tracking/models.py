"""What portal remembers of submissions, out of the events of upload and validate."""

from pydantic import BaseModel, ConfigDict, Field

from kit.documents.port import Collection, Doc, Instant
from schemas.shapes import Finding, Person, Sender, Tally


class StudyLeft(BaseModel):
    """A study of the submission has no images here since then; `revision` is that of the study without."""

    model_config = ConfigDict(frozen=True)
    revision: int
    time: Instant


class FilesGone(BaseModel):
    """Documents, or files that were put aside, were removed here."""

    model_config = ConfigDict(frozen=True)
    time: Instant
    files: int
    bytes: int


class Track(Doc):
    """One submission; its id is the submission's. Topics have no order among each other: what has not
    been heard yet is empty."""

    sender_id: str = ""
    sender: Sender | None = None
    recipients: list[Person] = Field(default_factory=list)
    purpose: str = ""
    urgency: str = "routine"
    note: str = ""
    declared_files: int | None = None
    opened_at: Instant | None = None
    closed_at: Instant | None = None
    close_reason: str = ""
    files: int = 0
    revision: int = 0
    """Of the last submission-validated."""
    validated_at: Instant | None = None
    tally: Tally = Tally()
    findings: list[Finding] = Field(default_factory=list)
    studies: list[str] = Field(default_factory=list)
    left: dict[str, StudyLeft] = Field(default_factory=dict)
    """Its studies without images here, as far as that was heard, by id."""
    kept: list[str] = Field(default_factory=list)
    """Rules (documents, quarantine) by which nothing goes, for a person keeps it."""
    leaving: dict[str, Instant] = Field(default_factory=dict)
    """Retention let these go then, by rule, and they are being removed."""
    gone: dict[str, FilesGone] = Field(default_factory=dict)
    """By rule. The sums stay as they were."""
    let_go: int = 0
    """How often retention did."""
    documents_since: Instant | None = None
    quarantine_since: Instant | None = None
    """Since when there are such files and no images of its studies; None: there are, or no files to go."""


TRACKS = Collection(
    "tracks",
    Track,
    fields=("sender_id", "opened_at", "documents_since", "quarantine_since"),
    compound=(("sender_id", "opened_at"),),
)
