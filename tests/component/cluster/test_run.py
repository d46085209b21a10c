"""`anteroom run`: ready when the engines are, and honest until then."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest

from anteroom.cluster import WrongSiteKey
from anteroom.run import serve
from anteroom.settings import Settings, load
from kit.bus.kafka_settings import KafkaSettings, remove_topics
from schemas.catalogue import TOPICS
from tests.neighbours.engines import ACCESS_KEY, SECRET_KEY, OwnEngines, engine

ADMIN = {"authorization": f"Bearer {secrets.token_hex(32)}"}


def settings_on(data: Path, kafka: str, mongo: str, s3: str, name: str) -> Settings:
    return load(
        None,
        {
            "process": {"data": data, "workers": 1, "admin_token": ADMIN["authorization"].split()[1]},
            "http": {"port": 0},
            "upload": {"dicom_port": -1},
            "match": {"hl7_port": 0},
            "telemetry": {"metrics_port": 0},
            "kafka": {"servers": kafka, "prefix": f"{name}-", "partitions": 2},
            "mongo": {"url": f"mongodb://{mongo}", "database": name, "timeout_s": 2},
            "s3": {
                "endpoint": s3,
                "bucket": name,
                "access_key": ACCESS_KEY,
                "secret_key": SECRET_KEY,
                "secure": False,
            },
        },
    )


@contextlib.asynccontextmanager
async def running(settings: Settings, *names: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the process, which is told to stop and has stopped when the block ends."""
    stop = asyncio.Event()
    server = asyncio.create_task(serve(settings, names, stop=stop))
    try:
        address = settings.process.data / "server.json"
        async with asyncio.timeout(30):
            while not address.exists():
                await asyncio.sleep(0.02)
        async with httpx.AsyncClient(
            base_url=orjson.loads(address.read_bytes())["url"], timeout=30
        ) as client:
            yield client
    finally:
        stop.set()
        await server


async def ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.2)


async def test_without_engines_it_lives_and_says_what_is_missing(tmp_path: Path) -> None:
    settings = settings_on(tmp_path, "127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:1", "nowhere")
    async with running(settings, "notify") as client:
        assert (await client.get("/healthz")).status_code == 200
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        found = answer.json()
        assert "Kafka" in found["events"]
        assert "document store" in found["documents-door"]
        assert "object store" in found["objects"]
        assert found["start-door"]
        metrics = orjson.loads((tmp_path / "server.json").read_bytes())["metrics"]
        measured = (await client.get(metrics)).text
        assert "anteroom_disk_free_bytes" in measured
        for name in ("events", "documents", "objects"):
            assert f'anteroom_neighbour_up{{name="",neighbour="{name}"}} 0.0' in measured
        described = (await client.get("/api/asyncapi.json")).json()
        assert described["channels"].keys() == TOPICS.keys()
        assert "servers" not in described


async def test_on_engines_it_becomes_ready_and_ends_when_told(tmp_path: Path) -> None:
    name = f"run-{secrets.token_hex(6)}"
    engines = engine("kafka"), engine("mongo"), engine("s3")
    settings = settings_on(tmp_path, *engines, name)
    async with running(settings, "notify", "match", "portal") as client:
        await ready(client)
        lagging = 'anteroom_bus_lag_events{group="notify",topic="study-forwarded"} 0.0'
        assert (await client.get("/metrics")).status_code == 401
        assert lagging in (await client.get("/metrics", headers=ADMIN)).text
        described = (await client.get("/api/asyncapi.json", headers=ADMIN)).json()
        assert described["servers"] == {"kafka-1": {"host": engines[0], "protocol": "kafka"}}
        channel = described["channels"]["study-arrived"]
        assert (channel["address"], channel["bindings"]["kafka"]["partitions"]) == (
            f"{name}-study-arrived",
            2,
        )
    (tmp_path / "site.key").write_text(secrets.token_hex(32))
    (tmp_path / "server.json").unlink()
    with pytest.raises(WrongSiteKey):
        await asyncio.wait_for(serve(settings, ["notify"]), 60)
    await remove_topics(KafkaSettings(servers=engines[0], prefix=f"{name}-"))


async def test_without_kafka_or_images_it_stays_ready_and_says_so(tmp_path: Path) -> None:
    own = OwnEngines(tmp_path / "engines")
    try:
        await asyncio.to_thread(own.start)
        engines = [f"127.0.0.1:{own.ports[name]}" for name in own.NAMES]
        data = tmp_path / "data"
        data.mkdir()
        async with running(settings_on(data, *engines, "away"), "match", "portal") as client:
            await ready(client)
            for name, lacking in (("kafka", "events"), ("s3", "objects")):
                await asyncio.to_thread(own.stop, name, kill=True)
                async with asyncio.timeout(60):
                    while not (answer := await client.get("/readyz")).json()[lacking]:
                        await asyncio.sleep(0.2)
                assert answer.status_code == 200
    finally:
        own.close()
