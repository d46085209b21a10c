"""What portal keeps: a case a study (a read model with its decisions), and the audit trail."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from kit.documents.port import Collection, Doc, Instant
from kit.tasks import TaskDoc
from schemas.shapes import Decision, Demographics, Match, Proof, Said, Sender, Study


class Seen(BaseModel):
    """What of a study a decision was made on; another one asks for another decision."""

    model_config = ConfigDict(frozen=True)
    instances: int
    needs_person: bool
    patient: Demographics
    other_patients: tuple[Demographics, ...] = ()
    generation: int = 1
    """Images sent again after they were removed are others, however alike they are."""
    conflicts: int = 0
    """Images put aside because an earlier one has the same UID."""


class Verdict(BaseModel):
    """A decision with what was seen when it was made."""

    model_config = ConfigDict(frozen=True)
    decision: Decision
    seen: Seen
    request: str = ""
    """Digest of the request, so that one sent twice is recognised."""


class Outcome(BaseModel):
    """How a delivery ended. Deliveries under way are known to forward alone."""

    model_config = ConfigDict(frozen=True)
    delivery_id: str
    decision_id: str
    destination: str
    state: Literal["proven", "failed"]
    time: Instant
    instances: int
    proof: Proof | None = None
    reason: str = ""
    said: Said | None = None
    """The reason, for readers of any language; None in those of a version that had it in English alone."""


class Stage(BaseModel):
    """One step of the study's way. `key` tells repeats of the same step apart."""

    model_config = ConfigDict(frozen=True)
    key: str
    stage: str
    time: Instant
    text: str = ""


class Gone(BaseModel):
    """The images were removed here; what is known of the study stays."""

    model_config = ConfigDict(frozen=True)
    time: Instant
    rule: str
    bytes: int


class Settled(BaseModel):
    """What the last word on a submission was."""

    model_config = ConfigDict(frozen=True)
    revision: int
    sender: Sender
    waiting: int
    time: Instant | None = None
    """None in those of a version that did not note it."""


class Case(Doc):
    """One study as people see it. `id` is the study's. `study` is None only while events of other
    topics have overtaken the study's own."""

    state: str = "arrived"
    why: str = ""
    """Why it is (again) in this state, in words for people; empty where the state says it all."""
    arrived_at: Instant | None = None
    updated_at: Instant | None = None
    sender_id: str = ""
    correlation_id: str = ""
    study: Study | None = None
    match: Match | None = None
    verdicts: list[Verdict] = Field(default_factory=list)
    outcomes: list[Outcome] = Field(default_factory=list)
    settled: dict[str, Settled] = Field(default_factory=dict)
    """By submission id."""
    timeline: list[Stage] = Field(default_factory=list)
    modality: str = ""
    """The main one, for filters."""
    open: bool = True
    """Somebody has to do something yet, here or elsewhere."""
    flagged: bool = False
    """A finding asks a person to look closely."""
    bytes: int = 0
    """Of the objects that hold its images here."""
    spare_since: Instant | None = None
    """Since when nobody needs its images here any more; None: somebody may."""
    kept: bool = False
    """A person keeps its images, whatever the policy says."""
    leaving: Instant | None = None
    """Retention let its images go then, and they are being removed."""
    gone: Gone | None = None
    tokens: list[str] = Field(default_factory=list)
    """What POST /api/studies/search finds it by."""


class AuditEntry(Doc):
    """Who did or saw what, when. Inserted, never changed; see rules/chain.py."""

    seq: int | None = None
    """Its number in the chain; None in entries of a version without one."""
    previous: str = ""
    hash: str = ""
    ref: str = ""
    """What it is about is entered once under this name."""
    time: Instant
    account_id: str
    account: str
    action: str
    kind: str
    object_id: str
    detail: str = ""
    code: str = ""
    values: dict[str, str | int] = Field(default_factory=dict)
    """The detail for readers of any language (schemas.shapes.Said); empty where it is nothing but data."""


CASES = Collection(
    "cases",
    Case,
    fields=("state", "sender_id", "arrived_at", "modality", "open", "flagged", "spare_since"),
    compound=(
        ("state", "arrived_at"),
        ("state", "spare_since"),
        ("sender_id", "arrived_at"),
        ("modality", "arrived_at"),
        ("open", "arrived_at"),
        ("open", "flagged", "arrived_at"),
    ),
    members="tokens",
)
AUDIT = Collection(
    "audit",
    AuditEntry,
    fields=("time", "account_id", "object_id", "action", "seq", "ref"),
    compound=(("account_id", "time"), ("object_id", "time"), ("action", "time")),
)


class Comment(Doc):
    """What somebody wrote to a study. `for_sender`: the sender reads it too."""

    study_id: str
    account_id: str
    account: str
    time: Instant
    text: str
    for_sender: bool = False


class Held(TaskDoc):
    """A person's decision that can still be undone: it is made when due. `id` is the study's.
    `error`: it could not be made then, and why."""

    account_id: str
    account: str
    request: str = Field(description="the request for a decision, as JSON")
    action: str
    made_at: Instant
    error: str = ""


class SavedView(BaseModel):
    name: str
    query: str


class SavedViews(Doc):
    """Filters of the inbox that an account keeps by name. `id` is the account's."""

    views: list[SavedView] = Field(default_factory=list)


COMMENTS = Collection("comments", Comment, fields=("study_id", "time"), compound=(("study_id", "time"),))
HELD = Collection("held", Held, fields=("due_at",))
SAVED_VIEWS = Collection("saved-views", SavedViews)
