"""Step 1, in a helper process: one batch read once. Every file is scanned, sorted, and stored, kept,
put aside, refused, or opened into further batches. Opens no database; the same batch gives the same
objects and the same answer.
"""

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from kit.archives import ArchiveError
from kit.archives.parts import open_parts
from kit.archives.zip import members as zip_members
from kit.dicom.errors import BrokenDicom, IsDicomdir, NotDicom
from kit.dicom.instance import read_instance
from kit.errors import NoSpace, TransientError, Unavailable
from kit.ids import derived_id
from kit.objects.port import Objects
from kit.scan.clamav import CLEAN, ClamScanner, Verdict
from schemas.shapes import FileState, Finding
from services.validate.expanding import discard, expand
from services.validate.jobs import BatchJob, BatchResult, Quarantined
from services.validate.members import (
    BatchMember,
    BatchMembers,
    holds_nothing_else,
    missing,
    read_members,
)
from services.validate.models import FileRecord
from services.validate.packing import StudyFiles, Unreadable, write_pack
from services.validate.rules.headers import summed
from services.validate.sorting import (
    HEAD,
    WHOLE_MAX,
    Sorted,
    active_content,
    archive_of,
    check_whole,
    office_kind,
    sort_file,
)
from services.validate.texts import finding

_log = logging.getLogger(__name__)
_COPY = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


def read_batch(objects: Objects, job: BatchJob) -> BatchResult:
    """Raises NotFound when the batch's parts are gone, TransientError when storage fails."""
    size = sum(length for _, length in job.parts)
    try:
        with ExitStack() as stack:
            tar = stack.enter_context(open_parts(objects, job.parts))
            mark = stack.enter_context(_progress(job.progress))
            scanner = stack.enter_context(ClamScanner(job.clam)) if job.clam else None
            found = read_members(tar, size, job.ordinals)
            return _Reading(objects, job, tar, found, mark, scanner).run()
    except Unavailable as error:
        if error.neighbour != "antivirus":
            raise
        return BatchResult(unavailable="antivirus-away")
    except NoSpace:
        return BatchResult(unavailable="storage-full")
    except OSError as error:
        if error.errno in _FULL:
            return BatchResult(unavailable="storage-full")
        raise


class _Reading:
    def __init__(
        self,
        objects: Objects,
        job: BatchJob,
        tar: BinaryIO,
        found: BatchMembers,
        mark: "_Mark",
        scanner: ClamScanner | None,
    ) -> None:
        self.objects = objects
        self.job = job
        self.tar = tar
        self.found = found
        self.mark = mark
        self.scanner = scanner
        self.result = BatchResult()
        self.findings: list[Finding] = []
        self.studies: dict[str, StudyFiles] = {}
        self.archives: list[tuple[BatchMember, FileRecord, Sorted]] = []
        self.aside: set[int] = set(job.suspects)

    def run(self) -> BatchResult:
        for member in self.found.members:
            self._guarded(member, self._record(member))
        self._expand_all()
        for study in list(self.studies.values()):
            self._pack(study)
        for number in missing(self.found, self.job.ordinals):
            code = "batch-damaged" if self.found.damaged else "announced-but-missing"
            self._decide(FileRecord(id=self._id(number)), FileState.REFUSED, code)
        self._note(("not-announced", self.found.unannounced), ("not-a-file", self.found.not_files))
        self.result.findings = summed(self.findings)
        return self.result

    def _id(self, number: int) -> str:
        return f"{self.job.container}.{number}" if self.job.container else str(number)

    def _record(self, member: BatchMember) -> FileRecord:
        return FileRecord(id=self._id(member.number), path=member.path, size=member.size)

    def _guarded(self, member: BatchMember, record: FileRecord) -> None:
        self.mark(member.index)
        if member.index in self.aside:
            discard(self.objects, self.job, record.id)
            self._quarantine(member, record, "crashed-reader")
            return
        try:
            self._file(member, record)
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge: one file must not take its neighbours along
            _let_pass(error)
            _log.warning("a file broke its reader (%s)", type(error).__name__)
            self._quarantine(member, record, "crashed-reader")

    def _file(self, member: BatchMember, record: FileRecord) -> None:
        with member.open(self.tar) as file:
            found = sort_file(file.read(HEAD), record.path, member.size)
            if found.kind == "zip":
                found = _office(file, member.size) or found
            if found.what == "archive":
                # Not scanned itself: its members are, each on its own, and the container is not kept.
                self.archives.append((member, record, found))
                return
            verdict = self.scanner.scan(file, member.size) if self.scanner and member.size else CLEAN
            if verdict.kind == "infected":
                self._quarantine(member, record, "infected")
            elif found.what == "dicom":
                self._dicom(member, record, file, verdict)
            elif found.what == "document":
                self._document(record, file, found, verdict)
            else:
                self._decide(record, FileState.REFUSED, found.code)

    def _dicom(self, member: BatchMember, record: FileRecord, file: BinaryIO, verdict: Verdict) -> None:
        try:
            instance = read_instance(file, member.size)
        except IsDicomdir:
            self._keep(record, file, "dicomdir")
            self.result.discs.append(self._key("documents", record))
            self._decide(record, FileState.DOCUMENT, "disc-index")
            return
        except NotDicom:
            self._decide(record, FileState.REFUSED, "not-dicom")
            return
        except BrokenDicom as error:
            self._decide(record, FileState.REFUSED, error.code, error.text, error.values)
            return
        study = self.studies.setdefault(instance.study_instance_uid, StudyFiles())
        study.add(member, record, instance)
        if instance.source is not None:
            instance.source.close()
        if verdict.kind == "not-whole":
            study.needs_person = True
            study.extra.append(finding("scanned-in-part"))

    def _document(self, record: FileRecord, file: BinaryIO, found: Sorted, verdict: Verdict) -> None:
        if record.size > self.job.max_document_bytes or (found.check_whole and record.size > WHOLE_MAX):
            self._decide(record, FileState.REFUSED, "document-too-large")
            return
        if found.check_whole:
            file.seek(0)
            data = file.read(record.size)
            if code := check_whole(found.kind, data):
                self._decide(record, FileState.REFUSED, code)
                return
            if active_content(found.kind, data):
                self.findings.append(finding("active-pdf"))
        self._keep(record, file, found.kind)
        if verdict.kind == "not-whole":
            self.findings.append(finding("scanned-in-part"))
        self._decide(record, FileState.DOCUMENT, "")

    def _key(self, place: str, record: FileRecord) -> str:
        return f"{place}/{self.job.submission_id}/{derived_id(self.job.batch_id, record.id)}"

    def _keep(self, record: FileRecord, file: BinaryIO, kind: str) -> None:
        file.seek(0)
        self.objects.put(self._key("documents", record), _blocks(file))
        record.kind = kind

    def _quarantine(self, member: BatchMember, record: FileRecord, code: str) -> None:
        key = self._key("quarantine", record)
        with member.open(self.tar) as file:
            self.objects.put(key, _blocks(file))
        self.result.quarantined.append(Quarantined(record.id, code, key))
        self._decide(record, FileState.QUARANTINED, code)

    def _decide(
        self,
        record: FileRecord,
        state: FileState,
        code: str,
        text: str = "",
        values: dict[str, int] | None = None,
    ) -> None:
        record.state, record.code, record.text, record.values = state, code, text, values or {}
        self.result.files.append(record)
        if text:
            action = "quarantined" if state is FileState.QUARANTINED else "refused"
            self.findings.append(
                Finding(code=code, severity="error", action=action, text=text, values=record.values)
            )
        elif code:
            self.findings.append(finding(code))

    def _note(self, *counts: tuple[str, int]) -> None:
        for code, count in counts:
            if count:
                self.findings.append(finding(code, count))

    def _expand_all(self) -> None:
        whole = sum(member.size for member, _, _ in self.archives)
        for member, record, found in self.archives:
            self.mark(member.index)
            allowance = self.job.allowance
            share = None if allowance is None or whole == 0 else allowance * member.size // whole
            try:
                self._expand(member, record, found, share)
            except TransientError:
                raise
            except Exception as error:  # noqa: BLE001 - the edge: one archive must not take its neighbours along
                _let_pass(error)
                _log.warning("an archive broke its reader (%s)", type(error).__name__)
                discard(self.objects, self.job, record.id)
                self._quarantine(member, record, "crashed-reader")

    def _expand(self, member: BatchMember, record: FileRecord, found: Sorted, share: int | None) -> None:
        with member.open(self.tar) as file:
            expansion = expand(
                self.objects, self.job, archive_of(found), file, member.size, record, allowance=share
            )
        if expansion.refused:
            self._decide(record, FileState.REFUSED, expansion.refused)
            return
        for unreadable in expansion.records:
            self._decide(unreadable, unreadable.state, unreadable.code)
        self.result.children.extend(expansion.children)
        self._note(("archive-cut-short", int(expansion.cut_short)), ("not-a-file", expansion.skipped))

    def _pack(self, study: StudyFiles) -> None:
        while study.items:
            try:
                written = write_pack(
                    self.objects, self.job, self.tar, study, self.mark, part=self._only_part(study)
                )
            except Unreadable as error:
                self._drop(study, error.index)
                continue
            self.result.packs.append(written)
            self.result.files.extend(record for _, record, _ in study.items)
            self.findings.extend(written.findings)
            return

    def _only_part(self, study: StudyFiles) -> str:
        """The key of the batch's one part, where it holds this study's instances and nothing else."""
        parts = self.job.parts
        alone = len(parts) == 1 and len(study.items) == len(self.found.members)
        if alone and study.untouched() and holds_nothing_else(self.found, self.tar, parts[0][1]):
            return parts[0][0]
        return ""

    def _drop(self, study: StudyFiles, index: int) -> None:
        for item in list(study.items):
            if item[0].index == index:
                study.items.remove(item)
                self._quarantine(item[0], item[1], "crashed-reader")


def _let_pass(error: Exception) -> None:
    """A disk that is full (of temporary copies, perhaps) is no file's fault."""
    if isinstance(error, OSError) and error.errno in _FULL:
        raise error


def _office(file: BinaryIO, size: int) -> Sorted | None:
    try:
        return office_kind([member.name for member in zip_members(file, size, most=2000)])
    except ArchiveError:
        return None


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_COPY):
        yield block


class _Mark:
    """Notes which member is being worked on, so that its reader's death can be laid at its door."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def __call__(self, index: int) -> None:
        os.pwrite(self._handle, index.to_bytes(8, "big"), 0)


@contextmanager
def _progress(path: str) -> Iterator[_Mark]:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        yield _Mark(handle)
    finally:
        os.close(handle)
