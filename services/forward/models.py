"""The documents of forward: deliveries, the newest decision of each study, commitment reports."""

from pydantic import Field

from kit.documents.port import Collection, Doc, Instant
from kit.tasks import TaskDoc
from schemas.shapes import Demographics, Order, PackRef, Proof, Sender, Shape
from services.forward.rules.states import State


class Note(Shape):
    """Something a person may want to know of a delivery that went on nevertheless."""

    code: str
    text: str
    count: int = 1


class Delivery(TaskDoc):
    """The sending of one decision's study to one destination. A task until it is proven, failed or
    cancelled. `id` derives from decision and destination."""

    study_id: str
    study_revision: int
    study_instance_uid: str
    decision_id: str
    destination: str
    rank: str = Field(description="orders the decisions on one study")
    identity: str = Field(description="equal for deliveries that put the same values into the headers")
    target: Demographics | None = None
    order: Order | None = None
    stored_patient_id: str = Field(default="", description="as the study came")
    decided_at: Instant
    packs: list[PackRef] = Field(default_factory=list)
    sender: Sender
    submissions: list[str] = Field(default_factory=list)
    cause: str
    correlation_id: str

    state: State = State.QUEUED
    may_have_sent: bool = Field(default=False, description="True once a plan exists")
    replacing: bool = Field(
        default=False, description="the destination may hold the study under another identity"
    )
    total: int = Field(default=0, description="instances of the study revision")
    already: int = Field(default=0, description="of them there before this delivery began")
    stored: int = Field(default=0, description="of them that the destination said it has")
    proven: int = 0
    notes: list[Note] = Field(default_factory=list)
    round: int = Field(default=0, description="times that images missing after proof were sent again")
    episode: int = Field(default=0, description="retries by a person")
    transactions: list[str] = Field(
        default_factory=list, description="storage commitment transaction UIDs of the present round"
    )
    commitment: str = Field(default="", description="asked, refused, late or reported; empty: not yet asked")
    commitment_deadline: Instant | None = None
    looks: int = Field(default=0, description="queries in this round that found images missing")
    identity_checked: bool = Field(
        default=False, description="when replacing: the destination was seen to have the new identity"
    )
    queried: bool = Field(default=False, description="an image-level query is part of the proof")
    proof: Proof | None = None
    created_at: Instant
    finished_at: Instant | None = None

    def goes_back_to(self) -> tuple[str, str]:
        return self.correlation_id, self.cause


DELIVERIES = Collection(
    "deliveries",
    Delivery,
    fields=("study_id", "decision_id", "destination", "state", "due_at", "created_at"),
    compound=(("destination", "due_at"), ("study_id", "created_at"), ("state", "created_at")),
    members="transactions",
)


class NewestDecision(Doc):
    """The newest decision on a study; `id` is the study's."""

    decision_id: str = ""
    rank: str = ""
    identity: str = ""
    destinations: list[str] = Field(default_factory=list, description="empty when it was not approved")


NEWEST_DECISIONS = Collection("newest-decisions", NewestDecision)


class Report(Doc):
    """What a destination answered to one storage commitment request. `id` derives from its UID."""

    transaction_uid: str
    committed: list[str] = Field(default_factory=list)
    failed: dict[str, int] = Field(default_factory=dict, description="SOP Instance UID to failure reason")


REPORTS = Collection("commitment-reports", Report)
