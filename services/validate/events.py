"""The events a batch emits, made from its document."""

from datetime import datetime

from schemas.envelope import Event
from schemas.validate import BatchExpanded, BatchSettled, FileQuarantined, PackWritten
from services.validate.jobs import BatchResult
from services.validate.models import BatchDoc, FileRecord


def cause_of(doc: BatchDoc) -> Event:
    """The event that brought the batch, as far as later events need it."""
    return Event(id=doc.cause_id, correlation_id=doc.correlation_id, time=doc.received_at, key=doc.id)


def of_reading(doc: BatchDoc, result: BatchResult, now: datetime) -> list[Event]:
    """What step 1 made: packs for their studies, further batches, files put aside."""
    cause = cause_of(doc)
    events: list[Event] = [
        PackWritten.after(
            cause,
            time=now,
            key=written.study_id,
            step=written.pack.id,
            study_id=written.study_id,
            submission_id=doc.submission_id,
            sender=doc.sender,
            pack=written.pack,
            header=written.header,
            findings=written.findings,
            needs_person=written.needs_person,
        )
        for written in result.packs
    ]
    events += [
        BatchExpanded.after(
            cause,
            time=now,
            key=child.id,
            step=child.id,
            submission_id=doc.submission_id,
            batch_id=child.id,
            parent_batch_id=doc.id,
            sender=doc.sender,
            parts=tuple(child.parts),
            container=child.container,
            depth=doc.depth + 1,
        )
        for child in result.children
    ]
    events += [quarantined(doc, cause, now, one.file, one.code, one.key) for one in result.quarantined]
    return events


def of_conflicts(doc: BatchDoc, cause: Event, now: datetime, aside: list[FileRecord]) -> list[Event]:
    """Conflicting instances stay in their pack, which no study shows."""
    return [
        quarantined(doc, cause, now, file.id, file.code, f"studies/{file.study_id}/{file.pack_id}.dcm")
        for file in aside
    ]


def quarantined(doc: BatchDoc, cause: Event, now: datetime, file: str, code: str, key: str) -> Event:
    return FileQuarantined.after(
        cause,
        time=now,
        key=doc.submission_id,
        step=file,
        submission_id=doc.submission_id,
        batch_id=doc.id,
        file=file,
        code=code,
        quarantine_key=key,
    )


def settled(doc: BatchDoc, cause: Event, now: datetime) -> Event:
    """Counts the document's revision up. Also for a batch whose files still wait, after a while."""
    doc.revision += 1
    return BatchSettled.after(
        cause,
        time=now,
        key=doc.submission_id,
        step=f"{doc.id}-{doc.revision}",
        submission_id=doc.submission_id,
        batch_id=doc.id,
        root_sequence=doc.root_sequence,
        tally=doc.tally,
        expanded=tuple(child.id for child in doc.children),
        expanded_files=sum(child.files for child in doc.children),
        revision=doc.revision,
        studies=tuple(doc.studies),
        findings=tuple(doc.findings),
    )
