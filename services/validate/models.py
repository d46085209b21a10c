"""The documents of the validate service. It alone writes them."""

from typing import Literal

from pydantic import BaseModel, Field

from kit.documents.port import Collection, Doc, Instant
from kit.tasks import TaskDoc
from schemas.shapes import FileState, Finding, ObjectPart, Person, Sender, Study, Tally


class FileRecord(BaseModel):
    """What became of one file. `path` is what the sender called it: text to show, maybe with PHI."""

    id: str = Field(description="ordinal, with .member where it came out of an archive")
    path: str = ""
    size: int = 0
    state: FileState = FileState.WAITING
    code: str = ""
    text: str = Field(default="", description="only where it is not the code's own text")
    values: dict[str, int] = Field(default_factory=dict, description="numbers in that text, by name")
    kind: str = Field(default="", description="format of a document")
    study_id: str = ""
    pack_id: str = ""
    position: int = 0


class ChildBatch(BaseModel):
    """A batch made from an archive of this one."""

    id: str
    container: str
    parts: list[ObjectPart]
    files: int
    allowance: int = Field(description="bytes that archives inside may still grow to")


class DiscCheck(BaseModel):
    """A disc's index (DICOMDIR) held against what arrived. `missing` and `lost` are the file IDs it
    gives (some of them, where there are very many): not there, and there but not kept."""

    readable: bool = True
    listed: int = 0
    came: int = 0
    missing_count: int = 0
    lost_count: int = 0
    missing: list[str] = Field(default_factory=list)
    lost: list[str] = Field(default_factory=list)


class BatchDoc(TaskDoc):
    """One batch, from its arrival until every file has its state. The task is step 1: `due_at` is set
    until the batch was read. `place` sorts the batches of a submission as they were sent, those made
    from an archive behind the batch that held it."""

    submission_id: str
    place: str
    root_sequence: int
    sender: Sender
    cause_id: str
    correlation_id: str
    parts: list[ObjectPart]
    ordinals: list[int] = Field(default_factory=list, description="announced; of a received batch")
    container: str = Field(default="", description="file id of the archive; of an expanded batch")
    announced: int = Field(description="files that end in a state here, as far as it was known on arrival")
    depth: int = 0
    allowance: int | None = None
    received_at: Instant
    waiting_for: str = Field(default="queued", description="why it was not read yet; empty when it was")
    waits: int = 0
    told_waiting: bool = False
    suspects: dict[str, int] = Field(
        default_factory=dict, description="member index: times its reading ended the process"
    )
    read: bool = False
    scanned: bool = False
    files: list[FileRecord] = Field(default_factory=list)
    children: list[ChildBatch] = Field(default_factory=list)
    packs: list[str] = Field(default_factory=list)
    pending: list[str] = Field(default_factory=list, description="packs their studies have not taken in yet")
    studies: list[str] = Field(default_factory=list)
    discs: list[str] = Field(default_factory=list, description="object keys of disc indexes (DICOMDIR)")
    findings: list[Finding] = Field(default_factory=list)
    tally: Tally = Tally()
    revision: int = Field(default=0, description="of its batch-settled events")

    def goes_back_to(self) -> tuple[str, str]:
        return self.correlation_id, self.cause_id


class StudyDoc(Doc):
    """One study of one origin. `merged` also names packs that brought nothing new."""

    study: Study
    merged: list[str] = Field(default_factory=list)


class SettledBatch(BaseModel):
    revision: int
    root_sequence: int
    tally: Tally
    expanded: list[str] = Field(default_factory=list)
    announced: int = Field(default=0, description="files in the expanded batches")
    studies: list[str] = Field(default_factory=list)
    findings: list[Finding] = Field(default_factory=list)


class FilesGone(BaseModel):
    """Files of one kind were removed: those in these batches."""

    time: Instant
    files: int
    bytes: int
    batches: list[str]


class TallyDoc(Doc):
    """One submission: what its batches came to. Its id is the submission's."""

    sender: Sender | None = None
    recipients: list[Person] = Field(default_factory=list)
    declared: int | None = None
    closed: bool = False
    files: int = 0
    batches: int = 0
    settled: dict[str, SettledBatch] = Field(default_factory=dict)
    findings: list[Finding] = Field(default_factory=list)
    studies: list[str] = Field(default_factory=list)
    discs: list[DiscCheck] = Field(default_factory=list)
    tally: Tally = Tally()
    told: Tally = Field(default=Tally(), description="of the last submission-validated, as the three above")
    revision: int = 0
    state: Literal["open", "validating", "validated"] = "open"
    gone: dict[str, FilesGone] = Field(
        default_factory=dict, description="by rule (documents, quarantine); the sums stay as they were"
    )


BATCHES = Collection(
    "batches",
    BatchDoc,
    fields=("submission_id", "due_at", "place"),
    compound=(("submission_id", "place"),),
)
STUDIES = Collection("studies", StudyDoc)
TALLIES = Collection("tallies", TallyDoc)
