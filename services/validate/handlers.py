"""One function an event. Each ends in one atomic save of one document with what it emits."""

import asyncio
from collections.abc import Awaitable, Callable

from kit.documents.port import Collection, D
from kit.errors import Contended, NotFound, NotYet, VersionConflict
from kit.metrics import FILES
from kit.service import Kit
from schemas.envelope import Event
from schemas.portal import StudyExpired
from schemas.shapes import FileState, Tally
from schemas.upload import BatchReceived, SubmissionClosed, SubmissionOpened
from schemas.validate import (
    BatchExpanded,
    BatchSettled,
    PackMerged,
    PackWritten,
    StudyArrived,
    StudyRemoved,
    StudyUpdated,
)
from services.validate import events
from services.validate.finishing import finish
from services.validate.known import KnownInstances
from services.validate.models import BATCHES, STUDIES, TALLIES, BatchDoc, StudyDoc, TallyDoc
from services.validate.rules import tally as tallying
from services.validate.rules.batches import take_merge
from services.validate.rules.merging import merge, sift, without_images

_TRIES = 50
_NAMES = {BATCHES.name: "a batch", TALLIES.name: "the sums of a submission"}


async def batch_received(kit: Kit, wake: Callable[[], None], event: BatchReceived) -> None:
    """Put the batch on the list of work: reading it is a task."""
    ordinals = list(dict.fromkeys(event.ordinals))
    doc = BatchDoc(
        id=event.batch_id,
        submission_id=event.submission_id,
        place=f"{event.sequence:08d}",
        root_sequence=event.sequence,
        sender=event.sender,
        cause_id=event.id,
        correlation_id=event.correlation_id,
        parts=list(event.parts),
        ordinals=ordinals,
        announced=len(ordinals),
        received_at=kit.clock(),
        due_at=kit.clock(),
        tally=Tally(sent=len(ordinals), waiting=len(ordinals)),
    )
    await _insert(kit, doc, wake)


async def batch_expanded(kit: Kit, wake: Callable[[], None], event: BatchExpanded) -> None:
    parent = await kit.documents.get(BATCHES, event.parent_batch_id)
    if parent is None:
        raise NotYet("the batch an archive came in")
    number = next((n for n, child in enumerate(parent.children) if child.id == event.batch_id), None)
    if number is None:
        raise NotYet("the batch an archive came in")
    child = parent.children[number]
    doc = BatchDoc(
        id=event.batch_id,
        submission_id=event.submission_id,
        place=f"{parent.place}.{number:06d}",
        root_sequence=parent.root_sequence,
        sender=event.sender,
        cause_id=event.id,
        correlation_id=event.correlation_id,
        parts=list(event.parts),
        container=event.container,
        announced=child.files,
        depth=event.depth,
        allowance=child.allowance,
        received_at=kit.clock(),
        due_at=kit.clock(),
        tally=Tally(sent=child.files, waiting=child.files),
    )
    await _insert(kit, doc, wake)


async def _insert(kit: Kit, doc: BatchDoc, wake: Callable[[], None]) -> None:
    if await kit.documents.get(BATCHES, doc.id) is None:
        try:
            await kit.documents.save(BATCHES, doc)
        except VersionConflict:
            return
    wake()


async def pack_written(kit: Kit, known: KnownInstances, event: PackWritten) -> None:
    """Step 2: the study takes the pack in, decides which of its instances are new, and says so."""
    for _ in range(_TRIES):
        doc = await kit.documents.get(STUDIES, event.study_id)
        if doc is not None and event.pack.id in doc.merged:
            return
        before = doc.study if doc else None
        try:
            index = await known.index(event.pack)
            have = await known.of(before, event.study_id)
        except NotFound:
            if await _version(kit, event.study_id) == (doc.version if doc else 0):
                raise
            continue  # its images were removed since it was read
        sifted = sift(index.entries, have.hashes)
        now = kit.clock()
        study = merge(before, event, sifted, now)
        doc = doc or StudyDoc(id=event.study_id, study=study)
        doc.study = study
        doc.merged = [*doc.merged, event.pack.id]
        emits: list[Event] = [
            PackMerged.after(
                event,
                time=now,
                key=event.pack.batch_id,
                study_id=event.study_id,
                submission_id=event.submission_id,
                batch_id=event.pack.batch_id,
                pack_id=event.pack.id,
                duplicates=tuple(sifted.duplicates),
                conflicts=tuple(sifted.conflicts),
            )
        ]
        if before is None:
            emits.append(StudyArrived.after(event, time=now, key=study.id, study=study))
        elif study.revision > before.revision:
            emits.append(StudyUpdated.after(event, time=now, key=study.id, study=study))
        try:
            await kit.documents.save(STUDIES, doc, emits)
        except VersionConflict:
            continue
        if sifted.kept:
            known.learn(event.study_id, event.pack.id, sifted.hashes)
        return
    raise Contended("a study")


async def _version(kit: Kit, study_id: str) -> int:
    doc = await kit.documents.get(STUDIES, study_id)
    return doc.version if doc is not None else 0


async def study_expired(kit: Kit, event: StudyExpired) -> None:
    """The study has no images from here on; deleting their objects follows from the event. What came
    since it was decided leaves everything as it is, be it the same images once more: the deciding service
    hears of that anyway."""
    for _ in range(_TRIES):
        doc = await kit.documents.get(STUDIES, event.study_id)
        if doc is None or doc.study.revision != event.study_revision or not doc.study.packs:
            return
        if event.submissions and not set(doc.study.submissions) <= set(event.submissions):
            return
        before = doc.study
        doc.study = without_images(before, kit.clock())
        removed = StudyRemoved.after(
            event,
            time=kit.clock(),
            key=before.id,
            study_id=before.id,
            revision=doc.study.revision,
            generation=doc.study.generation,
            rule=event.rule,
            packs=tuple(doc.merged),
            instances=before.instances,
            bytes=sum(pack.bytes for pack in before.packs),
        )
        try:
            await kit.documents.save(STUDIES, doc, [removed])
        except VersionConflict:
            continue
        return
    raise Contended("a study")


async def clear_removed(kit: Kit, event: StudyRemoved) -> None:
    """Deletes by the packs' own names: what came meanwhile has others. An object with a second name (a
    batch that became its pack) stays under that one."""

    def clear() -> None:
        for pack_id in event.packs:
            kit.objects.delete(f"studies/{event.study_id}/{pack_id}.dcm")
            kit.objects.delete(f"studies/{event.study_id}/{pack_id}.idx")

    await asyncio.to_thread(clear)


async def pack_merged(kit: Kit, event: PackMerged) -> None:
    """The files of a pack have their state; with the last pack the batch is settled."""

    async def change(doc: BatchDoc) -> list[Event] | None:
        if event.pack_id not in doc.pending:
            return None
        aside = take_merge(doc, event)
        files = [file for file in doc.files if file.pack_id == event.pack_id]
        if len(event.duplicates) == len(files):
            # The study has every byte of it in earlier packs. Its index stays, for the disc check.
            await asyncio.to_thread(kit.objects.delete, f"studies/{event.study_id}/{event.pack_id}.dcm")
        emits = events.of_conflicts(doc, event, kit.clock(), aside)
        if not doc.pending:
            emits.append(events.settled(doc, events.cause_of(doc), kit.clock()))
        return emits

    await _change(kit, BATCHES, event.batch_id, None, change)


async def submission_opened(kit: Kit, event: SubmissionOpened) -> None:
    async def change(doc: TallyDoc) -> list[Event] | None:
        if doc.has_seen(event):
            return None
        doc.remember(event)
        doc.sender = event.sender
        doc.recipients = list(event.recipients)
        doc.declared = event.declared_files
        return await finish(kit, doc, event)

    await _change(kit, TALLIES, event.submission_id, TallyDoc, change)


async def submission_closed(kit: Kit, event: SubmissionClosed) -> None:
    async def change(doc: TallyDoc) -> list[Event] | None:
        if doc.has_seen(event):
            return None
        doc.remember(event)
        doc.sender = event.sender
        doc.closed, doc.files, doc.batches = True, event.files, event.batches
        return await finish(kit, doc, event)

    await _change(kit, TALLIES, event.submission_id, TallyDoc, change)


async def batch_settled(kit: Kit, event: BatchSettled) -> None:
    async def change(doc: TallyDoc) -> list[Event] | None:
        return await finish(kit, doc, event) if tallying.take_settled(doc, event) else None

    if await _change(kit, TALLIES, event.submission_id, TallyDoc, change) and not event.tally.waiting:
        for state in FileState:
            FILES.labels(state.value).inc(getattr(event.tally, state.value))


async def clear_incoming(kit: Kit, event: BatchSettled) -> None:
    """Every file of the batch has its state: its bytes as they came are no longer needed."""
    if event.tally.waiting:
        return

    def clear() -> None:
        for stat in list(kit.objects.list(f"incoming/{event.submission_id}/{event.batch_id}/")):
            kit.objects.delete(stat.key)

    await asyncio.to_thread(clear)


async def _change(
    kit: Kit,
    collection: Collection[D],
    doc_id: str,
    make: Callable[..., D] | None,
    change: Callable[[D], Awaitable[list[Event] | None]],
) -> bool:
    """Read, change, save with what it emits; again after somebody else saved first. `change` returns
    None when the event was applied before, and then so is False."""
    for _ in range(_TRIES):
        doc = await kit.documents.get(collection, doc_id)
        if doc is None:
            if make is None:
                raise NotYet(_NAMES[collection.name])
            doc = make(id=doc_id)
        emits = await change(doc)
        if emits is None:
            return False
        try:
            await kit.documents.save(collection, doc, emits)
        except VersionConflict:
            continue
        return True
    raise Contended(_NAMES[collection.name])
