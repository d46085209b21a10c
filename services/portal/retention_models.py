"""What retention keeps: the policy, and a line for each study it has to do with."""

from dataclasses import dataclass, field

from pydantic import Field

from kit.documents.port import Collection, Instant
from kit.tasks import TaskDoc
from services.portal.rules.retention import Rule

POLICY = "policy"


class Policy(TaskDoc):
    """How long images are kept once nobody needs them. There is one; `due_at` is the next look."""

    in_pacs_days: int | None = Field(
        default=None, description="after their arrival was proved; None: for good"
    )
    declined_days: int | None = Field(default=None, description="after they were turned down; None: for good")
    undo_hours: int = Field(default=72, description="announced for so long before they go")
    looked_at: Instant | None = None
    looks: int = Field(default=0, description="made so far, at least half an hour apart")
    trusted_at: Instant | None = Field(
        default=None, description="the last time by the clock that was believed: of a look, or of a change"
    )
    doubted_at: Instant | None = Field(default=None, description="of the last look that did not believe it")
    doubts: int = Field(default=0, description="such looks in a row")
    caught_up: bool = Field(default=False, description="cases of earlier versions know when they are spare")

    @property
    def days(self) -> dict[Rule, int | None]:
        return {"in-pacs": self.in_pacs_days, "declined": self.declined_days}


class Expiry(TaskDoc):
    """One study whose images are to go (`announced`, until `due_at`), would go but for a share link that
    works (`shared`, until `until`), are going (`removing`), have gone (`removed`), or are kept by a person
    (`kept`). `id` is the study's."""

    state: str
    generation: int = Field(default=1, description="of the study")
    rule: str = ""
    bytes: int = 0
    changed_at: Instant
    hours: int = Field(default=0, description="it is announced for so long")
    look: int = Field(default=0, description="which of the looks announced it")
    until: Instant | None = None
    account: str = Field(default="", description="who keeps it")
    reason: str = ""


@dataclass(frozen=True)
class Figure:
    """What would go, counting no further than 100,000 studies of a rule."""

    studies: int = 0
    bytes: int = 0
    by_rule: dict[Rule, int] = field(default_factory=dict)


POLICIES = Collection("retention", Policy, fields=("due_at",))
EXPIRIES = Collection(
    "expiries",
    Expiry,
    fields=("due_at", "state", "changed_at"),
    compound=(("state", "due_at"), ("state", "changed_at")),
)
