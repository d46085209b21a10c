"""Events of the validate service."""

from typing import ClassVar

from pydantic import Field

from schemas.envelope import Event
from schemas.shapes import (
    Demographics,
    Finding,
    ObjectPart,
    PackRef,
    Sender,
    SeriesSummary,
    Shape,
    Study,
    Tally,
)


class BatchExpanded(Event):
    """Members of an archive, repacked as a further batch of the same form. Key: the batch."""

    topic: ClassVar[str] = "batch-expanded"
    owner: ClassVar[str] = "validate"
    submission_id: str
    batch_id: str
    parent_batch_id: str
    sender: Sender
    parts: tuple[ObjectPart, ...]
    container: str = Field(description="file id of the archive, such as 12 or 12.3")
    depth: int = Field(ge=1)


class StudyHeader(Shape):
    """Study-level attributes as one pack has them."""

    study_instance_uid: str
    patient: Demographics
    other_patients: tuple[Demographics, ...] = ()
    accession_number: str = ""
    study_date: str = ""
    study_time: str = ""
    description: str = ""
    referring_physician: str = ""
    study_id: str = ""
    modalities: tuple[str, ...] = ()
    series: tuple[SeriesSummary, ...] = ()


class PackWritten(Event):
    """A pack is durable; its study does not know it yet. Key: the study."""

    topic: ClassVar[str] = "pack-written"
    owner: ClassVar[str] = "validate"
    study_id: str
    submission_id: str
    sender: Sender
    pack: PackRef
    header: StudyHeader
    findings: tuple[Finding, ...] = ()
    needs_person: bool = False


class PackMerged(Event):
    """The study took the pack in. Key: the batch."""

    topic: ClassVar[str] = "pack-merged"
    owner: ClassVar[str] = "validate"
    study_id: str
    submission_id: str
    batch_id: str
    pack_id: str
    duplicates: tuple[int, ...] = Field(default=(), description="positions in the pack kept already")
    conflicts: tuple[int, ...] = Field(default=(), description="positions: same UID, other content")


class BatchSettled(Event):
    """Every file of the batch has its state. Key: the submission."""

    topic: ClassVar[str] = "batch-settled"
    owner: ClassVar[str] = "validate"
    submission_id: str
    batch_id: str
    root_sequence: int = Field(description="sequence of the received batch it is or was expanded from")
    tally: Tally = Field(description="of this batch; containers are not counted")
    expanded: tuple[str, ...] = Field(default=(), description="ids of the batches made from its archives")
    expanded_files: int = Field(default=0, description="files in those batches")
    revision: int = Field(default=1, description="higher when waiting files of the batch moved")
    studies: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


class StudyArrived(Event):
    """The first pack of a study is in: it can be viewed. Key: the study."""

    topic: ClassVar[str] = "study-arrived"
    owner: ClassVar[str] = "validate"
    study: Study


class StudyUpdated(Event):
    """More of a study came, or what is known of it changed. Key: the study."""

    topic: ClassVar[str] = "study-updated"
    owner: ClassVar[str] = "validate"
    study: Study


class StudyRemoved(Event):
    """The images of a study are no longer here; what is sent of it later is a new generation. Key: the
    study."""

    topic: ClassVar[str] = "study-removed"
    owner: ClassVar[str] = "validate"
    study_id: str
    revision: int = Field(description="of the study without images; snapshots up to it are of no use now")
    generation: int = Field(description="of what may come later")
    rule: str = Field(description="of the study-expired it follows")
    packs: tuple[str, ...] = Field(default=(), description="ids of the packs whose objects are deleted")
    instances: int = 0
    bytes: int = Field(default=0, description="of the objects that held them")


class SubmissionValidated(Event):
    """A closed submission has every file in its state (again, when waiting ones move).
    Key: the submission."""

    topic: ClassVar[str] = "submission-validated"
    owner: ClassVar[str] = "validate"
    submission_id: str
    revision: int
    sender: Sender
    tally: Tally
    studies: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


class SubmissionCleared(Event):
    """Files of a submission that are no images of a study are no longer here; its sums stay as they were.
    Key: the submission."""

    topic: ClassVar[str] = "submission-cleared"
    owner: ClassVar[str] = "validate"
    submission_id: str
    rule: str = Field(description="of the submission-expired it follows")
    files: int = 0
    bytes: int = 0


class FileQuarantined(Event):
    """A file was put aside, readable by an administrator alone. Key: the submission."""

    topic: ClassVar[str] = "file-quarantined"
    owner: ClassVar[str] = "validate"
    submission_id: str
    batch_id: str
    file: str = Field(description="file id: ordinal, with .member where it came out of an archive")
    code: str
    quarantine_key: str
