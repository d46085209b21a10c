"""Packs of a batch: its instances gathered by study, and each study's written in one go."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from kit.dicom.elements import Span
from kit.dicom.instance import Instance, read_instance
from kit.dicom.pack import PackWriter
from kit.errors import AnteroomError
from kit.ids import derived_id, keyed_id
from kit.objects.port import Objects
from schemas.shapes import Finding, PackRef
from services.validate.jobs import BatchJob, WrittenPack
from services.validate.members import BatchMember
from services.validate.models import FileRecord
from services.validate.rules.headers import study_header, summed

_GENERATION = 1
"""A study's second life, after it was deleted, will count on from here."""


class Unreadable(AnteroomError):
    """Copying this member failed though reading it had not; `index` is its place in the batch."""

    def __init__(self, index: int) -> None:
        super().__init__(f"member {index} can't be copied")
        self.index = index


@dataclass
class StudyFiles:
    """Instances of one study within a batch, each with its member and record."""

    items: list[tuple[BatchMember, FileRecord, Instance]] = field(default_factory=list)
    extra: list[Finding] = field(default_factory=list)
    needs_person: bool = False

    def add(self, member: BatchMember, record: FileRecord, instance: Instance) -> None:
        self.items.append((member, record, instance))
        self.needs_person = self.needs_person or instance.needs_person

    def untouched(self) -> bool:
        """Whether every instance is stored as it came, byte for byte."""
        return all(
            instance.source is None and instance.pieces == (Span(0, member.size),)
            for member, _, instance in self.items
        )


def study_id(job: BatchJob, study_instance_uid: str) -> str:
    return keyed_id(job.site_key, job.origin, study_instance_uid, str(_GENERATION))


def write_pack(
    objects: Objects,
    job: BatchJob,
    tar: BinaryIO,
    study: StudyFiles,
    mark: Callable[[int], None],
    *,
    part: str = "",
) -> WrittenPack:
    """Write one study's pack and index; sets study, pack and position in the records. `part`: key of
    the batch's one part, where the batch holds nothing but this study, as it is to be stored.

    Names derive from the batch, so that a replay writes the same bytes under the same keys.
    Raises Unreadable for the member at fault, NoSpace.
    """
    first = study.items[0][2]
    study_key = study_id(job, first.study_instance_uid)
    pack_id = derived_id("pack", job.batch_id, study_key)
    key, index_key = f"studies/{study_key}/{pack_id}.dcm", f"studies/{study_key}/{pack_id}.idx"
    findings: list[Finding] = list(study.extra)
    with PackWriter(objects, key, index_key, part=part) as writer:
        for member, record, instance in study.items:
            mark(member.index)
            file = member.open(tar)
            try:
                # A converted instance was let go: its temporary copy is made again, one at a time.
                current = read_instance(file, member.size) if instance.source is not None else instance
                entry = writer.add(current, file, record.id, place=member.offset)
            except (EOFError, ValueError) as error:
                raise Unreadable(member.index) from error
            record.study_id, record.pack_id, record.position = study_key, pack_id, entry.position
            findings.extend(instance.findings)
        count, size, digest = writer.commit()
    return WrittenPack(
        study_id=study_key,
        pack=PackRef(
            id=pack_id,
            batch_id=job.batch_id,
            submission_id=job.submission_id,
            key=key,
            index_key=index_key,
            instances=count,
            bytes=size,
            sha256=digest,
        ),
        header=study_header([instance for _, _, instance in study.items]),
        findings=tuple(summed(findings)),
        needs_person=study.needs_person,
    )
