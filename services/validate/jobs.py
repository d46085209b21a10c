"""What a helper process is asked to do with a batch, and what it answers. Plain, picklable data."""

from dataclasses import dataclass, field

from kit.scan.clamav import ClamAddress
from schemas.shapes import Finding, PackRef
from schemas.validate import StudyHeader
from services.validate.models import ChildBatch, FileRecord
from services.validate.settings import ArchiveLimits


@dataclass(frozen=True)
class BatchJob:
    """`ordinals` None: the batch was made from an archive, and what its tar holds is what it has.

    `suspects` are members (by their place in the tar) whose reading ended a process before: they
    are put aside unread. `progress` is a local file that names the member being worked on.
    """

    submission_id: str
    batch_id: str
    parts: tuple[tuple[str, int], ...]
    ordinals: tuple[int, ...] | None
    container: str
    depth: int
    allowance: int | None
    origin: str
    site_key: bytes
    clam: ClamAddress | None
    archives: ArchiveLimits
    max_document_bytes: int
    batch_bytes: int
    batch_files: int
    suspects: frozenset[int]
    progress: str


@dataclass(frozen=True)
class WrittenPack:
    study_id: str
    pack: PackRef
    header: StudyHeader
    findings: tuple[Finding, ...]
    needs_person: bool


@dataclass(frozen=True)
class Quarantined:
    file: str
    code: str
    key: str


@dataclass
class BatchResult:
    """`unavailable`: nothing was decided, because of this (antivirus-away, storage-full): try again later."""

    unavailable: str = ""
    files: list[FileRecord] = field(default_factory=list)
    packs: list[WrittenPack] = field(default_factory=list)
    children: list[ChildBatch] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    discs: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
