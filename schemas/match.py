"""Events of the match service."""

from typing import ClassVar

from schemas.envelope import Event
from schemas.shapes import Demographics, Match, Order


class Hl7Received(Event):
    """An HL7 v2 message was accepted by the MLLP door. Internal to match. Key: the feed."""

    topic: ClassVar[str] = "hl7-received"
    owner: ClassVar[str] = "match"
    feed: str
    control_id: str
    message_type: str
    text: str


class PatientChanged(Event):
    """A local patient or one of their orders is new or different. Internal to match. Key: the patient."""

    topic: ClassVar[str] = "patient-changed"
    owner: ClassVar[str] = "match"
    patient_key: str
    patient: Demographics
    order: Order | None = None


class PatientMerged(Event):
    """The hospital merged two patient records (ADT A40). Key: the surviving patient."""

    topic: ClassVar[str] = "patient-merged"
    owner: ClassVar[str] = "match"
    surviving: Demographics
    retired: Demographics


class StudyMatched(Event):
    """The study's identifiers decide its patient. Key: the study."""

    topic: ClassVar[str] = "study-matched"
    owner: ClassVar[str] = "match"
    match: Match


class StudyUnmatched(Event):
    """The study waits for a person, with its candidates. Key: the study."""

    topic: ClassVar[str] = "study-unmatched"
    owner: ClassVar[str] = "match"
    match: Match
