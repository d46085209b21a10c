"""Documents and files put aside go, once retention lets them. Two events, each ending in one save or none."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import timedelta

from kit.errors import Contended, VersionConflict
from kit.ids import derived_id
from kit.service import Kit
from schemas.portal import SubmissionExpired
from schemas.shapes import FileState
from schemas.validate import SubmissionCleared
from services.validate.models import BATCHES, STUDIES, TALLIES, BatchDoc, FilesGone, TallyDoc

_log = logging.getLogger(__name__)
_TRIES = 50
_BATCHES_MAX = 100_000
_STATES = {"documents": FileState.DOCUMENT, "quarantine": FileState.QUARANTINED}
"""By rule, which is also the zone where such files lie."""


def gone(doc: TallyDoc, batch_id: str, state: FileState, *, packed: bool = False) -> FilesGone | None:
    """When and with what a file of this batch was removed; None while it is here, or where it never was
    kept. `packed`: it lies in a pack."""
    rule = next((rule for rule, kind in _STATES.items() if kind == state), "")
    removed = doc.gone.get(rule)
    return removed if removed is not None and not packed and batch_id in removed.batches else None


async def submission_expired(kit: Kit, event: SubmissionExpired) -> None:
    """Its files of this kind are gone from here on; deleting them follows from the event. A submission that
    changed since it was decided, or a study of it that has images again, leaves everything as it is; so does
    one that is heard of too late, for whoever decided may have thought better of it."""
    last = event.not_after or event.time + timedelta(days=1)
    for _ in range(_TRIES):
        doc = await kit.documents.get(TALLIES, event.submission_id)
        if doc is None or event.rule in doc.gone or not await _as_decided(kit, doc, event):
            return
        if kit.clock() > last:
            _log.warning("files of %s stay: that they may go was heard of too late", event.submission_id)
            return
        batches = await _batches(kit, event.submission_id, event.rule)
        sizes = [size for batch in batches for _, size in _objects(batch, event.rule)]
        now = kit.clock()
        doc.gone[event.rule] = FilesGone(
            time=now, files=len(sizes), bytes=sum(sizes), batches=[batch.id for batch in batches]
        )
        cleared = SubmissionCleared.after(
            event,
            time=now,
            key=doc.id,
            submission_id=doc.id,
            rule=event.rule,
            files=len(sizes),
            bytes=sum(sizes),
        )
        try:
            await kit.documents.save(TALLIES, doc, [cleared])
        except VersionConflict:
            continue
        return
    raise Contended("the sums of a submission")


async def clear_files(kit: Kit, event: SubmissionCleared) -> None:
    """Deletes by the names that files of those batches have; what came with another stays."""
    doc = await kit.documents.get(TALLIES, event.submission_id)
    if doc is None or event.rule not in doc.gone:
        return
    for batch_id in doc.gone[event.rule].batches:
        batch = await kit.documents.get(BATCHES, batch_id)
        if batch is not None:
            await asyncio.to_thread(_delete, kit, [key for key, _ in _objects(batch, event.rule)])


def _delete(kit: Kit, keys: list[str]) -> None:
    for key in keys:
        kit.objects.delete(key)


async def _as_decided(kit: Kit, doc: TallyDoc, event: SubmissionExpired) -> bool:
    if event.rule not in _STATES or doc.state != "validated" or doc.tally.waiting:
        return False
    if doc.revision != event.submission_revision or not set(doc.studies) <= event.studies.keys():
        return False
    for study_id in doc.studies:
        found = await kit.documents.get(STUDIES, study_id)
        if found is None or found.study.packs or found.study.revision != event.studies[study_id]:
            return False
    return True


async def _batches(kit: Kit, submission_id: str, rule: str) -> list[BatchDoc]:
    """Those that have such files."""
    rows = await kit.documents.project(
        BATCHES, ["tally"], {"submission_id": submission_id}, order="place", limit=_BATCHES_MAX
    )
    chosen = [row["id"] for row in rows if row["tally"].get(_STATES[rule].value)]
    found = [await kit.documents.get(BATCHES, batch_id) for batch_id in chosen]
    return [batch for batch in found if batch is not None]


def _objects(batch: BatchDoc, rule: str) -> Iterator[tuple[str, int]]:
    """Keys and sizes. What conflicts with an image lies in its pack, and goes with that; a batch that could
    not be read was put aside part by part."""
    place = f"{rule}/{batch.submission_id}"
    files = [file for file in batch.files if file.state == _STATES[rule] and not file.pack_id]
    if rule == "quarantine" and any(file.code == "not-processed" for file in files):
        yield from ((f"{place}/{derived_id(batch.id, part.key)}", part.size) for part in batch.parts)
        return
    yield from ((f"{place}/{derived_id(batch.id, file.id)}", file.size) for file in files)
