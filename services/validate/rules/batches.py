"""The state of a batch: what it was given, what reading and merging made of its files. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence

from schemas.shapes import FileState, Tally
from schemas.validate import PackMerged
from services.validate.jobs import BatchResult
from services.validate.models import BatchDoc, FileRecord
from services.validate.rules.headers import summed
from services.validate.texts import finding


def count(files: Iterable[FileRecord], waiting: int = 0) -> Tally:
    """`waiting`: files that have no record yet."""
    states = Counter(file.state.value for file in files)
    states[FileState.WAITING.value] += waiting
    return Tally(sent=sum(states.values()), **{state.value: states[state.value] for state in FileState})


def total(tallies: Iterable[Tally]) -> Tally:
    names = list(Tally.model_fields)
    sums = dict.fromkeys(names, 0)
    for tally in tallies:
        for name in names:
            sums[name] += getattr(tally, name)
    return Tally(**sums)


def take_reading(doc: BatchDoc, result: BatchResult, *, scanned: bool) -> None:
    """Step 1 is done: files in packs wait for their studies, all others have their state."""
    doc.read, doc.scanned, doc.waiting_for, doc.due_at = True, scanned, "", None
    doc.files = _in_order(result.files)
    doc.children = result.children
    doc.packs = [written.pack.index_key for written in result.packs]
    doc.pending = [written.pack.id for written in result.packs]
    doc.studies = [written.study_id for written in result.packs]
    doc.discs = result.discs
    doc.findings = result.findings
    doc.suspects = {}
    doc.last_error = ""
    doc.tally = count(doc.files)


def take_merge(doc: BatchDoc, event: PackMerged) -> list[FileRecord]:
    """A study took a pack in: its files have their state. Returns those put aside as conflicts."""
    duplicates, conflicts = set(event.duplicates), set(event.conflicts)
    aside: list[FileRecord] = []
    for file in doc.files:
        if file.pack_id != event.pack_id:
            continue
        if file.position in conflicts:
            file.state, file.code = FileState.QUARANTINED, "same-uid-other-content"
            aside.append(file)
        else:
            file.state = FileState.DUPLICATE if file.position in duplicates else FileState.STORED
    doc.pending = [pack for pack in doc.pending if pack != event.pack_id]
    if aside:
        doc.findings = summed([*doc.findings, finding("same-uid-other-content", len(aside))])
    doc.tally = count(doc.files)
    return aside


def take_waiting(doc: BatchDoc, reason: str) -> None:
    """Nothing was decided: all announced files wait, and it is said why."""
    doc.waiting_for = reason
    doc.findings = [finding(reason, doc.announced)] if doc.announced else []
    doc.tally = count([], doc.announced)


def waiting_records(doc: BatchDoc) -> list[FileRecord]:
    """Records for the files of a batch that was not read yet. Paths are not known before."""
    numbers: Sequence[int] = doc.ordinals or range(1, doc.announced + 1)
    prefix = f"{doc.container}." if doc.container else ""
    return [FileRecord(id=f"{prefix}{number}", code=doc.waiting_for) for number in dict.fromkeys(numbers)]


def file_order(file_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in file_id.split("."))


def _in_order(files: list[FileRecord]) -> list[FileRecord]:
    return sorted(files, key=lambda file: file_order(file.id))
