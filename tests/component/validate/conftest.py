"""The validate service on real embedded adapters, fed as upload feeds it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from kit.ids import random_id
from kit.service import Kit, Service
from kit.workers import Workers
from schemas.envelope import Event
from schemas.shapes import ObjectPart, Sender
from schemas.upload import BatchReceived, SubmissionClosed, SubmissionOpened
from schemas.validate import SubmissionValidated
from services.validate.app import build
from services.validate.models import BATCHES, STUDIES, TALLIES, BatchDoc, FileRecord, StudyDoc, TallyDoc
from services.validate.settings import ValidateSettings
from tests.component.validate.files import batch_tar
from tests.conftest import settle

SENDER = Sender(id="clinic", name="Clinic", origin="clinic", door="api")


@dataclass
class House:
    """A running validate service. Events it was sent are kept, to be sent again."""

    kit: Kit
    service: Service
    sent: list[Event] = field(default_factory=list)

    async def publish(self, *events: Event) -> None:
        self.sent.extend(events)
        await self.kit.bus.publish(events)

    async def open(self, *, declared: int | None = None, sender: Sender = SENDER) -> str:
        submission = random_id()
        await self.publish(
            SubmissionOpened.first(
                time=self.kit.clock(),
                key=submission,
                correlation_id=submission,
                submission_id=submission,
                sender=sender,
                declared_files=declared,
            )
        )
        return submission

    async def batch(
        self,
        submission: str,
        sequence: int,
        tar: bytes,
        ordinals: Sequence[int],
        *,
        sender: Sender = SENDER,
        part_size: int = 8 << 20,
    ) -> str:
        batch = random_id()
        parts = []
        for number, start in enumerate(range(0, max(len(tar), 1), part_size)):
            key = f"incoming/{submission}/{batch}/{number:05d}"
            stat = self.kit.objects.put(key, [tar[start : start + part_size]])
            parts.append(ObjectPart(key=key, size=stat.size))
        await self.publish(
            BatchReceived.first(
                time=self.kit.clock(),
                key=batch,
                correlation_id=submission,
                submission_id=submission,
                batch_id=batch,
                sender=sender,
                parts=tuple(parts),
                ordinals=tuple(ordinals),
                sequence=sequence,
            )
        )
        return batch

    async def close(self, submission: str, *, files: int, batches: int, sender: Sender = SENDER) -> None:
        await self.publish(
            SubmissionClosed.first(
                time=self.kit.clock(),
                key=submission,
                correlation_id=submission,
                submission_id=submission,
                sender=sender,
                files=files,
                batches=batches,
            )
        )

    async def send(
        self,
        files: Sequence[tuple[str, bytes]],
        *,
        per_batch: int = 512,
        sender: Sender = SENDER,
        wait: bool = True,
    ) -> str:
        """A whole submission. Returns its id once it is validated."""
        submission = await self.open(declared=len(files), sender=sender)
        batches = 0
        for start in range(0, len(files), per_batch):
            batches += 1
            chosen = files[start : start + per_batch]
            ordinals = range(start, start + len(chosen))
            tar = batch_tar(
                [(ordinal, path, data) for ordinal, (path, data) in zip(ordinals, chosen, strict=True)]
            )
            await self.batch(submission, batches, tar, ordinals, sender=sender)
        await self.close(submission, files=len(files), batches=batches, sender=sender)
        if wait:
            await self.validated(submission)
        return submission

    async def validated(self, submission: str, *, waiting: bool = False) -> TallyDoc:
        """Wait until every file has its state (`waiting`: or is known to wait)."""
        async with asyncio.timeout(120):
            while True:
                doc = await self.kit.documents.get(TALLIES, submission)
                if doc is not None and doc.state == "validated" and (waiting or doc.tally.waiting == 0):
                    break
                await asyncio.sleep(0.02)
        await settle(self.kit)
        doc = await self.kit.documents.get(TALLIES, submission)
        assert doc is not None
        return doc

    async def files(self, submission: str) -> dict[str, FileRecord]:
        return {file.id: file for batch in await self.batches(submission) for file in batch.files}

    async def batches(self, submission: str) -> list[BatchDoc]:
        page = await self.kit.documents.find(
            BATCHES, {"submission_id": submission}, order="place", limit=1000
        )
        return page.items

    async def tally(self, submission: str) -> TallyDoc:
        doc = await self.kit.documents.get(TALLIES, submission)
        assert doc is not None
        return doc

    async def studies(self, submission: str) -> list[StudyDoc]:
        found = [
            await self.kit.documents.get(STUDIES, study) for study in (await self.tally(submission)).studies
        ]
        return [study for study in found if study is not None]

    async def events(self, kind: type[Event]) -> list[Event]:
        return [event for _, event in await self.kit.bus.read(after=0, topics=[kind.topic], limit=10_000)]

    async def validations(self, submission: str) -> list[SubmissionValidated]:
        return [
            event
            for event in await self.events(SubmissionValidated)
            if isinstance(event, SubmissionValidated) and event.submission_id == submission
        ]


async def start(kit: Kit, settings: ValidateSettings) -> House:
    service = build(kit, settings)
    for step in service.start:
        await step()
    await kit.bus.start()
    return House(kit, service)


@pytest.fixture
def settings() -> ValidateSettings:
    return ValidateSettings()


@pytest.fixture(scope="session")
def helpers() -> Iterator[Workers]:
    """Helper processes take a second to start: these serve all tests."""
    workers = Workers(2)
    yield workers
    asyncio.run(workers.stop())


@pytest.fixture
async def house(kit_env: Kit, settings: ValidateSettings, helpers: Workers) -> AsyncIterator[House]:
    running = await start(replace(kit_env, workers=helpers), settings)
    yield running
    for step in running.service.stop:
        await step()
