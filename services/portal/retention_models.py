"""What retention keeps: the policy, and a line for each study or submission it has to do with."""

from dataclasses import dataclass, field

from pydantic import Field

from kit.documents.port import Collection, Instant
from kit.tasks import TaskDoc
from services.portal.rules.files import FileRule
from services.portal.rules.retention import Rule

POLICY = "policy"


class Policy(TaskDoc):
    """How long images are kept once nobody needs them. There is one; `due_at` is the next look."""

    in_pacs_days: int | None = Field(
        default=None, description="after their arrival was proved; None: for good"
    )
    declined_days: int | None = Field(default=None, description="after they were turned down; None: for good")
    documents_days: int | None = Field(
        default=None, description="after no study of their submission has images here; None: for good"
    )
    quarantine_days: int | None = Field(default=None, description="the same, for files put aside")
    undo_hours: int = Field(default=72, description="announced for so long before they go")
    looked_at: Instant | None = None
    looks: int = Field(default=0, description="made so far, at least half an hour apart")
    trusted_at: Instant | None = Field(
        default=None, description="the last time by the clock that was believed: of a look, or of a change"
    )
    doubted_at: Instant | None = Field(default=None, description="of the last look that did not believe it")
    doubts: int = Field(default=0, description="such looks in a row")
    caught_up: bool = Field(default=False, description="cases of earlier versions know when they are spare")
    tracks_caught_up: bool = Field(default=False, description="and submissions know which studies have left")
    tracks_from: Instant | None = Field(
        default=None, description="every look makes sure of that for some more: those opened since then"
    )
    capped: list[str] = Field(
        default=[], description="studies, files: of which the last look announced as many as it may"
    )

    @property
    def days(self) -> dict[Rule, int | None]:
        return {"in-pacs": self.in_pacs_days, "declined": self.declined_days}

    @property
    def file_days(self) -> dict[FileRule, int | None]:
        return {"documents": self.documents_days, "quarantine": self.quarantine_days}


class Line(TaskDoc):
    """What is to go, goes, went or is kept by a person."""

    state: str
    bytes: int = 0
    changed_at: Instant
    hours: int = Field(default=0, description="it is announced for so long")
    look: int = Field(default=0, description="which of the looks announced it")
    account: str = Field(default="", description="who keeps it")
    reason: str = ""


class Expiry(Line):
    """One study whose images are to go (`announced`, until `due_at`), would go but for a share link that
    works (`shared`, until `until`), are going (`removing`), have gone (`removed`), or are kept by a person
    (`kept`). `id` is the study's."""

    generation: int = Field(default=1, description="of the study")
    rule: str = ""
    until: Instant | None = None


class FileExpiry(Line):
    """The documents of one submission, or its files put aside (`rule`), that are to go (`announced`, until
    `due_at`), are going (`removing`), have gone (`removed`), or are kept by a person (`kept`)."""

    submission_id: str
    rule: FileRule
    files: int = 0

    def goes_back_to(self) -> tuple[str, str]:
        return self.submission_id, ""


def file_expiry_id(submission_id: str, rule: FileRule) -> str:
    return f"{submission_id}-{rule}"


@dataclass(frozen=True)
class Figure:
    """What would go, counting no further than 100,000 studies or submissions of a rule. `files` are those
    of `submissions`, documents or put aside."""

    studies: int = 0
    bytes: int = 0
    by_rule: dict[Rule, int] = field(default_factory=dict)
    submissions: int = 0
    files: int = 0


POLICIES = Collection("retention", Policy, fields=("due_at",))
EXPIRIES = Collection(
    "expiries",
    Expiry,
    fields=("due_at", "state", "changed_at"),
    compound=(("state", "due_at"), ("state", "changed_at")),
)
FILE_EXPIRIES = Collection(
    "file-expiries",
    FileExpiry,
    fields=("due_at", "state", "changed_at"),
    compound=(("state", "due_at"), ("state", "changed_at")),
)
