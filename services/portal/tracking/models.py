"""What portal remembers of submissions, out of the events of upload and validate."""

from pydantic import Field

from kit.documents.port import Collection, Doc, Instant
from schemas.shapes import Finding, Person, Sender, Tally


class Track(Doc):
    """One submission; its id is the submission's. Topics have no order among each other: what has not
    been heard yet is empty."""

    sender_id: str = ""
    sender: Sender | None = None
    recipients: list[Person] = Field(default_factory=list)
    purpose: str = ""
    urgency: str = "routine"
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


TRACKS = Collection(
    "tracks", Track, fields=("sender_id", "opened_at"), compound=(("sender_id", "opened_at"),)
)
