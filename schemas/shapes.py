"""Shapes that several events share. All frozen; unknown fields ignored."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Said(Shape):
    """A sentence or a clause for people. `text` is it in English, whole. Readers of another language go by
    `code`, empty where there is none: `values` are what it names, `because` are clauses inside it."""

    code: str = ""
    text: str
    values: dict[str, str | int] = Field(default_factory=dict)
    because: tuple["Said", ...] = ()

    def __str__(self) -> str:
        return self.text


class FileState(StrEnum):
    """What became of one file. Every file sent ends in exactly one of the first five."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    DOCUMENT = "document"
    REFUSED = "refused"
    QUARANTINED = "quarantined"
    WAITING = "waiting"


class Tally(Shape):
    """sent = stored + duplicate + document + refused + quarantined + waiting."""

    sent: int = 0
    stored: int = 0
    duplicate: int = 0
    document: int = 0
    refused: int = 0
    quarantined: int = 0
    waiting: int = 0


class Person(Shape):
    """Somebody to tell. `name` is a staff or clinic name, never a patient's.

    `account_id` or `department` give the right to see what is addressed so."""

    name: str = ""
    email: str | None = None
    phone: str | None = Field(default=None, description="E.164, such as +4315550100")
    account_id: str = ""
    department: str = ""


class Sender(Shape):
    id: str = Field(description="id of the sender account")
    name: str
    origin: str = Field(description="the sending organisation; a study belongs to one origin")
    door: Literal["portal", "api", "stow", "dicom"] | str = "api"


class ObjectPart(Shape):
    key: str
    size: int = Field(ge=0, description="bytes")


class Finding(Shape):
    """What validation saw, in words a file clerk understands. Text never holds PHI or paths."""

    code: str = Field(description="stable, kebab-case, such as preamble-executable")
    severity: Literal["info", "warning", "error"]
    action: Literal["kept", "repaired", "quarantined", "refused"]
    text: str
    count: int = Field(default=1, ge=1, description="files it applies to")
    values: dict[str, int] = Field(
        default_factory=dict, description="numbers in the text by name, for those who say it in other words"
    )


class Demographics(Shape):
    """A patient as some source knows them. Dates are DICOM DA (YYYYMMDD), names DICOM PN."""

    patient_id: str = ""
    issuer: str = Field(default="", description="issuer of patient ID (0010,0021)")
    name: str = Field(default="", description="PN, components by ^, groups by =")
    birth_date: str = ""
    sex: str = Field(default="", description="M, F, O or empty")


class Order(Shape):
    """An imaging order or scheduled step of the hospital."""

    accession_number: str = ""
    accession_issuer: str = ""
    requested_procedure_id: str = ""
    requested_procedure_description: str = ""
    scheduled_step_id: str = ""
    scheduled_step_description: str = ""
    study_instance_uid: str = ""
    modality: str = ""
    scheduled_at: str = Field(default="", description="DICOM DT in the site's zone, possibly only a date")
    placer_order_number: str = ""
    filler_order_number: str = ""


class PackRef(Shape):
    """The clean instances of one study out of one batch: an object of bytes and an index object."""

    id: str
    batch_id: str
    submission_id: str
    key: str = Field(description="object key of the instances; the index says where each lies")
    index_key: str = Field(description="object key of the index")
    instances: int
    bytes: int = Field(description="size of the object of instances")
    sha256: str = Field(description="of the index object; the index holds a hash of every instance")
    skipped: tuple[int, ...] = Field(
        default=(),
        description="positions in the pack that are duplicates of, or conflict with, earlier packs",
    )


class SeriesSummary(Shape):
    series_instance_uid: str
    modality: str = ""
    number: str = ""
    description: str = ""
    body_part: str = ""
    instances: int = 0


class Study(Shape):
    """A full snapshot of one study of one origin; consumers keep the highest revision."""

    id: str = Field(description="opaque; knowing a UID gives nobody anything")
    revision: int = Field(ge=1)
    generation: int = 1
    origin: str
    sender: Sender
    study_instance_uid: str
    patient: Demographics
    other_patients: tuple[Demographics, ...] = Field(
        default=(), description="other identities seen within the same study: a finding"
    )
    accession_number: str = ""
    study_date: str = ""
    study_time: str = ""
    description: str = ""
    referring_physician: str = ""
    study_id: str = ""
    modalities: tuple[str, ...] = ()
    series: tuple[SeriesSummary, ...] = ()
    packs: tuple[PackRef, ...] = ()
    submissions: tuple[str, ...] = ()
    instances: int = 0
    bytes: int = 0
    findings: tuple[Finding, ...] = ()
    needs_person: bool = Field(
        default=False, description="a finding bars any automatic policy (unscanned, conflict, mixed patients)"
    )
    arrived_at: datetime
    updated_at: datetime


class Candidate(Shape):
    """A local patient, with or without an order, that may be the study's."""

    patient_key: str = Field(description="id of the local patient record")
    patient: Demographics
    order_key: str | None = None
    order: Order | None = None
    score: float = Field(ge=0, le=1)
    fields: dict[str, float] = Field(default_factory=dict, description="score per field, 0 to 1")
    contradictions: tuple[str, ...] = Field(default=(), description="fields that speak against it")


class Match(Shape):
    """What match makes of one study. `certain` means its identifiers decide it."""

    study_id: str
    study_revision: int
    revision: int = Field(ge=1)
    state: Literal["matched", "unmatched"]
    certainty: Literal["certain", "none"] = "none"
    rule: str = Field(default="", description="issuer+id, name+birth+sex, accession, … that decided it")
    chosen: Candidate | None = None
    candidates: tuple[Candidate, ...] = ()


class DecidedBy(Shape):
    kind: Literal["person", "policy"]
    id: str
    name: str


class Decision(Shape):
    """Self-contained: what was seen, what was decided, and all that forwarding needs."""

    id: str
    action: Literal["approve", "decline", "ask-sender"]
    study_id: str
    study_revision: int
    match_revision: int
    by: DecidedBy
    time: datetime
    reason: str = Field(default="", description="shown to the sender; no PHI")
    target: Demographics | None = Field(default=None, description="None: forward as it came")
    order: Order | None = None
    destinations: tuple[str, ...] = ()


class Proof(Shape):
    """How it is known that the destination has the study."""

    kind: Literal["storage-commitment", "image-query"]
    time: datetime
    instances: int
    other_identity: bool = Field(
        default=False, description="it files some of them under another patient ID or order than was sent"
    )
