"""The lag that Prometheus sees is what nobody has handled, whichever process is asked."""

import asyncio
import re
import secrets
from pathlib import Path

import httpx

import schemas
from anteroom.settings import Settings
from kit.bus.kafka import KafkaBus
from kit.bus.kafka_settings import KafkaSettings, remove_topics
from kit.clock import utc_now
from schemas.forward import StudyForwarded
from schemas.wire import decode
from tests.component.cluster.test_run import ADMIN, ready, running, settings_on
from tests.neighbours.engines import engine

EXAMPLE = Path(schemas.__file__).parent / "examples" / "study-forwarded" / "typical.json"


def forwarded(count: int) -> list[StudyForwarded]:
    """Different facts about different studies."""
    first = decode(EXAMPLE.read_bytes())
    assert isinstance(first, StudyForwarded)
    return [
        first.model_copy(update={"id": f"{first.id[:-4]}{n:04d}", "key": f"s{n}", "study_id": f"s{n}"})
        for n in range(count)
    ]


async def lag(client: httpx.AsyncClient, group: str) -> float | None:
    text = (await client.get("/metrics", headers=ADMIN)).text
    line = re.search(rf'anteroom_bus_lag_events{{group="{group}",topic="study-forwarded"}} (\S+)', text)
    return None if line is None else float(line[1])


async def until_lag(client: httpx.AsyncClient, group: str, events: float) -> None:
    async with asyncio.timeout(30):
        while await lag(client, group) != events:
            await asyncio.sleep(0.1)


async def test_every_process_tells_how_far_a_group_is_also_while_it_is_away(tmp_path: Path) -> None:
    name = f"lag-{secrets.token_hex(6)}"
    engines = engine("kafka"), engine("mongo"), engine("s3")
    kafka = KafkaSettings(servers=engines[0], prefix=f"{name}-", partitions=2)
    key = tmp_path / "site.key"
    key.write_text(secrets.token_hex(32))

    def process(service: str) -> Settings:
        settings = settings_on(tmp_path / service, *engines, name)
        shared = settings.process.model_copy(update={"key_file": key})
        return settings.model_copy(update={"process": shared})

    publisher = KafkaBus(kafka, utc_now)
    try:
        async with running(process("portal"), "portal") as other:
            await ready(other)
            async with running(process("notify"), "notify") as consuming:
                await ready(consuming)
                await publisher.publish(forwarded(4))
                await until_lag(consuming, "notify", 0)
                await until_lag(other, "notify", 0)
            await publisher.publish(forwarded(11)[4:])
            assert await lag(other, "notify") == 7
            (tmp_path / "notify" / "server.json").unlink()
            async with running(process("notify"), "notify") as consuming:
                await ready(consuming)
                await until_lag(consuming, "notify", 0)
                await until_lag(other, "notify", 0)
    finally:
        await publisher.stop()
        await remove_topics(kafka)
