"""Several portal processes: pages served by one hear of what another has handled."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

import schemas
from anteroom.settings import Settings
from kit.bus.kafka import KafkaBus
from kit.bus.kafka_settings import KafkaSettings, remove_topics
from kit.clock import utc_now
from schemas.envelope import Event
from schemas.forward import StudyForwarded
from schemas.validate import StudyArrived
from schemas.wire import decode
from tests.component.cluster.test_run import ADMIN, ready, running, settings_on
from tests.neighbours.engines import engine

STUDIES = {f"study{n}" for n in range(12)}


def example(topic: str) -> Event:
    return decode((Path(schemas.__file__).parent / "examples" / topic / "typical.json").read_bytes())


def forwarded(study_id: str) -> StudyForwarded:
    first = example("study-forwarded")
    assert isinstance(first, StudyForwarded)
    changes = {"id": f"{first.id}-{study_id}", "key": study_id, "study_id": study_id}
    return first.model_copy(update=changes)


def arrived(study_id: str) -> StudyArrived:
    first = example("study-arrived")
    assert isinstance(first, StudyArrived)
    study = first.study.model_copy(update={"id": study_id})
    return first.model_copy(update={"id": f"{first.id}-{study_id}", "key": study_id, "study": study})


@asynccontextmanager
async def listening(client: httpx.AsyncClient) -> AsyncIterator[set[str]]:
    """The ids that a page open there is told, as they come."""
    told: set[str] = set()
    opened = asyncio.Event()

    async def listen() -> None:
        async with client.stream("GET", "/live", headers=ADMIN, timeout=120) as answer:
            assert answer.status_code == 200
            event = ""
            async for line in answer.aiter_lines():
                opened.set()
                name, _, value = line.partition(": ")
                event = value if name == "event" else event
                if name == "data" and event == "changed":
                    told.add(value)

    task = asyncio.create_task(listen())
    waiting = asyncio.create_task(opened.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED, timeout=30)
    waiting.cancel()
    if task.done():
        task.result()
    yield told
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until_told(*pages: set[str]) -> None:
    async with asyncio.timeout(40):
        while not all(page >= STUDIES for page in pages):
            await asyncio.sleep(0.05)


async def test_pages_hear_of_what_another_process_took_in_and_the_first_link_is_the_same(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    name = f"pages-{secrets.token_hex(6)}"
    engines = engine("kafka"), engine("mongo"), engine("s3")
    kafka = KafkaSettings(servers=engines[0], prefix=f"{name}-", partitions=2)
    key = tmp_path / "site.key"
    key.write_text(secrets.token_hex(32))

    def process(place: str) -> Settings:
        settings = settings_on(tmp_path / place, *engines, name)
        return settings.model_copy(update={"process": settings.process.model_copy(update={"key_file": key})})

    publisher = KafkaBus(kafka, utc_now)
    try:
        async with running(process("a"), "portal") as one, running(process("b"), "portal") as other:
            await ready(one)
            await ready(other)
            links = [(tmp_path / place / "welcome.link").read_text() for place in "ab"]
            assert len({link.rpartition("/")[2] for link in links}) == 1
            assert "link in" in capfd.readouterr().out
            for link in links:
                assert (await one.get(link)).status_code == 200
            async with listening(one) as here, listening(other) as there:
                await publisher.publish([arrived(study) for study in sorted(STUDIES)])
                await until_told(here, there)
                here.clear()
                there.clear()
                # one group alone handles these, and each process has one of its two partitions
                await publisher.publish([forwarded(study) for study in sorted(STUDIES)])
                await until_told(here, there)
            seen = (await one.get("/api/events", headers=ADMIN, params={"limit": 1000})).json()
            assert {event["topic"] for event in seen} == {"study-arrived", "study-forwarded"}
    finally:
        await publisher.stop()
        await remove_topics(kafka)
