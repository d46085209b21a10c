"""The one kind of task: read a batch (step 1) in a helper process, and settle what can be settled."""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

from kit.errors import NotFound, PermanentError
from kit.ids import derived_id
from kit.scan.clamav import ClamAddress
from kit.service import Kit
from kit.tasks import TaskRunner
from kit.workers import WorkerDied, WorkerTimeout
from schemas.envelope import Event
from schemas.shapes import FileState
from services.validate import events
from services.validate.jobs import BatchJob, BatchResult
from services.validate.models import BATCHES, BatchDoc
from services.validate.reading import read_batch
from services.validate.rules.batches import count, take_reading, take_waiting, waiting_records
from services.validate.settings import ValidateSettings
from services.validate.texts import finding

_log = logging.getLogger(__name__)
_WAITS = (1, 2, 5, 10, 20, 30)
_DEATHS_OF_A_CULPRIT = 2
_LONGEST = timedelta(hours=24)
"""A helper process that hangs is ended long before, by the size of its batch."""
_ALWAYS = 1_000_000


class BatchReader:
    """Reads the batches that are due, several at a time."""

    def __init__(self, kit: Kit, settings: ValidateSettings) -> None:
        self._kit = kit
        self._settings = settings
        self._folder = kit.scratch / "validate"
        self.runner = TaskRunner(
            kit.documents,
            BATCHES,
            work=self.read,
            give_up=self.give_up,
            clock=kit.clock,
            owner=kit.owner,
            exclusive=kit.exclusive,
            concurrency=settings.concurrency,
            longest=_LONGEST,
            max_attempts=_ALWAYS,
        )

    async def start(self) -> None:
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        await self.runner.start()

    async def read(self, doc: BatchDoc) -> None:
        """The work of the task: ends in one save, with all that follows from the batch."""
        result = await self._result(doc)
        now = self._kit.clock()
        if result.unavailable:
            emits = self._wait(doc, result.unavailable)
        else:
            take_reading(doc, result, scanned=bool(self._settings.clamav_host))
            emits = events.of_reading(doc, result, now)
            if not doc.pending:
                emits.append(events.settled(doc, events.cause_of(doc), now))
        doc.lease_until = None
        await self._kit.documents.save(BATCHES, doc, emits)

    def _wait(self, doc: BatchDoc, reason: str) -> list[Event]:
        """Try again soon. Once it has taken long, the sender is told that files wait."""
        now = self._kit.clock()
        take_waiting(doc, reason)
        doc.due_at = now + timedelta(seconds=_WAITS[min(doc.waits, len(_WAITS) - 1)])
        doc.waits += 1
        doc.attempts = 0
        long = (now - doc.received_at).total_seconds() >= self._settings.waiting_notice_s
        if not long or doc.told_waiting:
            return []
        doc.told_waiting = True
        return [events.settled(doc, events.cause_of(doc), now)]

    async def _result(self, doc: BatchDoc) -> BatchResult:
        """A member whose reading ended the process twice, or took far too long, is put aside, and its
        neighbours are read without it."""
        progress = self._folder / doc.id
        try:
            while True:
                try:
                    return await self._kit.workers.run(
                        self._time(doc), read_batch, self._kit.objects, self._job(doc, progress)
                    )
                except (WorkerDied, WorkerTimeout) as error:
                    await self._suspect(doc, progress, hung=isinstance(error, WorkerTimeout))
        finally:
            await asyncio.to_thread(progress.unlink, missing_ok=True)

    async def _suspect(self, doc: BatchDoc, progress: Path, *, hung: bool) -> None:
        index = await asyncio.to_thread(_last_member, progress)
        _log.warning("a helper process %s on member %d of a batch", "hung" if hung else "died", index)
        deaths = doc.suspects.get(str(index), 0) + (_DEATHS_OF_A_CULPRIT if hung else 1)
        if deaths > _DEATHS_OF_A_CULPRIT + (index >= 0):
            # also where putting the member aside ends the process: a disk that can't be read, perhaps
            raise PermanentError("the batch ends every process that opens it")
        doc.suspects[str(index)] = deaths
        await self._kit.documents.save(BATCHES, doc)

    def _time(self, doc: BatchDoc) -> float:
        """A scanner that is slow, not stuck, must not put file after file under suspicion."""
        settings = self._settings
        scanning = settings.scan_s * doc.announced if settings.clamav_host else 0
        return settings.job_s + sum(part.size for part in doc.parts) / settings.job_bytes_per_s + scanning

    def _job(self, doc: BatchDoc, progress: Path) -> BatchJob:
        settings = self._settings
        clam = (
            ClamAddress(settings.clamav_host, settings.clamav_port, settings.clamav_max_bytes)
            if settings.clamav_host
            else None
        )
        return BatchJob(
            submission_id=doc.submission_id,
            batch_id=doc.id,
            parts=tuple((part.key, part.size) for part in doc.parts),
            ordinals=None if doc.container else tuple(doc.ordinals),
            container=doc.container,
            depth=doc.depth,
            allowance=doc.allowance,
            origin=doc.sender.origin,
            site_key=self._kit.site_key,
            clam=clam,
            archives=settings.archives,
            max_document_bytes=settings.max_document_bytes,
            batch_bytes=settings.batch_bytes,
            batch_files=settings.batch_files,
            suspects=frozenset(
                int(index) for index, deaths in doc.suspects.items() if deaths >= _DEATHS_OF_A_CULPRIT
            ),
            progress=str(progress),
        )

    async def give_up(self, doc: BatchDoc, reason: str) -> None:
        """A defect: the batch as it came is put aside whole, so that nothing is lost."""
        _log.error("a batch could not be read and is put aside: %s", reason)
        records = waiting_records(doc)
        try:
            keys = await asyncio.to_thread(self._put_aside, doc)
        except NotFound:
            keys = []
        state, code = (
            (FileState.QUARANTINED, "not-processed") if keys else (FileState.REFUSED, "announced-but-missing")
        )
        for record in records:
            record.state, record.code = state, code
        take_reading(doc, BatchResult(files=records), scanned=False)
        doc.findings = [finding(code, len(records))] if records else []
        doc.tally = count(doc.files)
        doc.last_error = reason[:500]
        doc.lease_until = None
        now, cause = self._kit.clock(), events.cause_of(doc)
        emits = [
            events.quarantined(doc, cause, now, record.id, code, key)
            for record, key in zip(records[:1], keys[:1], strict=False)
        ]
        await self._kit.documents.save(BATCHES, doc, [*emits, events.settled(doc, cause, now)])

    def _put_aside(self, doc: BatchDoc) -> list[str]:
        objects = self._kit.objects
        keys: list[str] = []
        for part in doc.parts:
            key = f"quarantine/{doc.submission_id}/{derived_id(doc.id, part.key)}"
            objects.copy(part.key, key)
            keys.append(key)
        return keys


def _last_member(progress: Path) -> int:
    """The member that was being worked on; -1 when there is none."""
    try:
        data = progress.read_bytes()
    except FileNotFoundError:
        return -1
    return int.from_bytes(data, "big") if len(data) == 8 else -1
