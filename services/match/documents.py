"""The collections of match: local patients, their orders, and what became of every study."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from kit.documents.port import Collection, Doc, Instant
from kit.tasks import TaskDoc
from schemas.shapes import Demographics, Match, Order
from services.match.rules.demographics import Identifier, normal_id, normal_issuer
from services.match.rules.known import StudyIdentity
from services.match.rules.tokens import patient_tokens


class Held(BaseModel):
    """One identifier as the hospital writes it."""

    model_config = ConfigDict(frozen=True)
    value: str
    issuer: str = ""
    universal: str = ""
    kind: str = ""

    @property
    def normal(self) -> Identifier:
        return Identifier(normal_id(self.value), normal_issuer(self.issuer, self.universal))


class Patient(Doc):
    """A local patient record. Its id derives from issuer and ID of its primary identifier.

    `merged_into` names the record that replaced it: it stays, so that its old IDs lead there.
    `absorbed` names those that this one replaced; one counts only while it says so itself.
    """

    held: list[Held] = Field(default_factory=list)
    name: str = ""
    other_names: list[str] = Field(default_factory=list)
    birth_date: str = ""
    sex: str = ""
    said_at: Instant | None = Field(default=None, description="time of the newest message applied")
    merged_into: str = ""
    merged_at: Instant | None = Field(
        default=None, description="time of the newest merge it survived or was retired by"
    )
    absorbed: list[str] = Field(default_factory=list)
    deleted: bool = False
    tokens: list[str] = Field(default_factory=list)

    @property
    def demographics(self) -> Demographics:
        primary = self.held[0] if self.held else Held(value="")
        return Demographics(
            patient_id=primary.value,
            issuer=primary.issuer or primary.universal,
            name=self.name,
            birth_date=self.birth_date,
            sex=self.sex,
        )

    def index(self) -> None:
        """Set the tokens from the content. Deleted records can't be found."""
        identifiers = [held.normal for held in self.held]
        names = [name for name in (self.name, *self.other_names) if name]
        self.tokens = [] if self.deleted else patient_tokens(identifiers, names, self.birth_date)


class OrderDoc(Doc):
    """An imaging order of a local patient."""

    patient_key: str
    order: Order
    said_at: Instant | None = None
    cancelled: bool = False
    tokens: list[str] = Field(default_factory=list)


class StudyMatch(TaskDoc):
    """A study, what its matching came to, and (as a task) when to ask the worklist about it.

    `state` says how it is looked at when data change: waiting ones by every token, matched and
    decided ones only by those that name them.
    """

    patient: Demographics = Demographics()
    others: list[Demographics] = Field(default_factory=list)
    accession_number: str = ""
    study_instance_uid: str = ""
    study_date: str = ""
    modalities: list[str] = Field(default_factory=list)
    study_revision: int = 0
    correlation_id: str = ""
    state: Literal["waiting", "matched", "decided"] = "waiting"
    match: Match | None = None
    ask_until: Instant | None = None
    tokens: list[str] = Field(default_factory=list)

    def goes_back_to(self) -> tuple[str, str]:
        return self.correlation_id, self.causes[-1] if self.causes else ""

    @property
    def identity(self) -> StudyIdentity:
        return StudyIdentity(
            patient=self.patient,
            others=tuple(self.others),
            accession_number=self.accession_number,
            study_instance_uid=self.study_instance_uid,
            study_date=self.study_date,
            modalities=tuple(self.modalities),
        )


PATIENTS = Collection("patients", Patient, members="tokens")
ORDERS = Collection(
    "orders",
    OrderDoc,
    fields=("patient_key", "said_at"),
    compound=(("patient_key", "said_at"),),
    members="tokens",
)
MATCHES = Collection("matches", StudyMatch, fields=("state", "due_at"), members="tokens")
