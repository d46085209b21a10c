"""Events of the match service."""

from typing import ClassVar

from pydantic import Field

from schemas.envelope import Event
from schemas.shapes import Demographics, Match, Order


class Hl7Received(Event):
    """An HL7 v2 message was accepted by the MLLP door. Internal to match. Key: the patient it is about.

    Its text holds only the segments and fields that match reads: no addresses, results or documents.
    """

    topic: ClassVar[str] = "hl7-received"
    owner: ClassVar[str] = "match"
    feed: str
    control_id: str
    message_type: str
    text: str = Field(description="ER7, segments ended by CR")


class PatientChanged(Event):
    """A local patient or one of their orders is new or different. Internal to match. Key: the patient."""

    topic: ClassVar[str] = "patient-changed"
    owner: ClassVar[str] = "match"
    patient_key: str
    patient: Demographics
    previous: Demographics | None = Field(default=None, description="as known before, where that differed")
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
