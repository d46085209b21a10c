"""The consumers that schemas/README.md shows, run as they stand there, against real logs."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from anteroom import operations
from anteroom.serving import Server, listen, uvicorn_config
from anteroom.settings import Settings
from kit.bus.kafka_settings import KafkaSettings, ensure_topics
from kit.service import Kit
from kit.web import build_app
from schemas.wire import decode, encode
from scripts.engines.__main__ import ROOT
from scripts.engines.run import start, stop
from services.portal.bootstrap import ensure_admin
from tests.component.downstream.shown import (
    EXAMPLE,
    FOLLOWING,
    KCAT_ALL,
    KCAT_GROUP,
    ON_KAFKA,
    OVER_HTTP,
    TOPIC,
    Running,
    alone,
    forwarded,
)
from tests.neighbours.engines import engine


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Kafka of its own: what the README says needs no prefix there."""
    engine("kafka")
    root = tmp_path_factory.mktemp("engines")
    (root / "kafka").mkdir()
    (root / "kafka" / "lib").symlink_to(ROOT / "kafka" / "lib")
    server = f"127.0.0.1:{start(root, 'kafka')}"
    try:
        asyncio.run(ensure_topics(KafkaSettings(servers=server, partitions=3), [TOPIC]))
        yield server
    finally:
        stop(root, "kafka")


@pytest.fixture
async def producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    made = AIOKafkaProducer(bootstrap_servers=kafka)
    await made.start()
    yield made
    await made.stop()


async def test_the_consumer_on_kafka_reports_once_and_bears_what_newer_producers_send(
    kafka: str, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    program = alone(tmp_path, ON_KAFKA)
    later = {**json.loads(encode(forwarded(2))), "added_later": {"x": [1]}}
    another = {**json.loads(encode(forwarded(3))), "version": 2, "proof": "of another form"}
    unknown = {"topic": "study-praised", "version": 1, "id": "x"}
    for value in (encode(forwarded(1)), encode(forwarded(1)), *map(json.dumps, (unknown, another, later))):
        content = value if isinstance(value, bytes) else value.encode()
        await producer.send_and_wait(TOPIC, content, key=b"one", partition=0)
    first = await Running.begin(sys.executable, program, KAFKA=kafka)
    said = await first.lines(2)
    assert [line.split()[2] for line in said] == ["s1", "s2"]
    assert all(line.endswith(EXAMPLE.proof.kind) for line in said)  # type: ignore[attr-defined]
    assert await first.kill() == ""
    await producer.send_and_wait(TOPIC, encode(forwarded(4)), key=b"one", partition=0)
    again = await Running.begin(sys.executable, program, KAFKA=kafka)
    told: list[str] = []
    while "s4" not in told:
        told += [line.split()[2] for line in await again.lines(1)]
    # the last one handled may come again: the program was killed before, or after, it said so to Kafka
    assert told in (["s4"], ["s2", "s4"])
    await again.kill()


@pytest.mark.skipif(not shutil.which("kcat"), reason="kcat is not installed here")
async def test_the_lines_for_kcat_print_the_log_and_go_on_by_group(
    kafka: str, producer: AIOKafkaProducer
) -> None:
    def run(line: str) -> list[str]:
        done = subprocess.run(
            line, shell=True, env={**os.environ, "KAFKA": kafka}, capture_output=True, text=True, timeout=60,
            check=True,
        )  # fmt: skip
        return done.stdout.splitlines()

    before = len(await asyncio.to_thread(run, KCAT_ALL))
    await producer.send_and_wait(TOPIC, encode(forwarded(10)), key=b"s10")
    everything = await asyncio.to_thread(run, KCAT_ALL)
    assert len(everything) == before + 1
    assert encode(forwarded(10)).decode() in everything
    assert len(await asyncio.to_thread(run, KCAT_GROUP)) == before + 1
    await producer.send_and_wait(TOPIC, encode(forwarded(11)), key=b"s11")
    (line,) = await asyncio.to_thread(run, KCAT_GROUP)
    key, _, content = line.split(" ", 2)
    assert (key, decode(content)) == ("s11", forwarded(11))


@pytest.fixture
async def reached(kit_env: Kit) -> AsyncIterator[tuple[Kit, dict[str, str]]]:
    """The log of one machine behind HTTP, and how it is reached."""
    secret = await ensure_admin(kit_env)
    assert secret is not None
    listener = listen("127.0.0.1", 0, "http.port")
    server = Server(uvicorn_config(build_app(kit_env, [operations.build(kit_env)]), Settings()))
    serving = asyncio.create_task(server.serve([listener]))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    yield kit_env, {"ANTEROOM_SERVER": address, "ANTEROOM_TOKEN": secret}
    server.should_exit = True
    await serving


async def test_the_consumer_over_http_follows_the_log(
    reached: tuple[Kit, dict[str, str]], tmp_path: Path
) -> None:
    kit, environment = reached
    await kit.bus.publish([forwarded(1), forwarded(2)])
    program = tmp_path / "consumer.py"
    program.write_text(OVER_HTTP)
    running = await Running.begin(sys.executable, str(program), **environment)
    assert [line.split()[1] for line in await running.lines(2)] == [forwarded(1).id, forwarded(2).id]
    await kit.bus.publish([forwarded(3)])
    assert (await running.lines(1))[0].split()[1] == forwarded(3).id
    assert await running.kill() == ""


async def test_the_command_line_follows_the_log(reached: tuple[Kit, dict[str, str]]) -> None:
    kit, environment = reached
    await kit.bus.publish([forwarded(1)])
    words = FOLLOWING.split()
    running = await Running.begin(sys.executable, "-m", *words, **environment)
    assert json.loads((await running.lines(1))[0])["id"] == forwarded(1).id
    await kit.bus.publish([forwarded(2)])
    assert json.loads((await running.lines(1))[0])["id"] == forwarded(2).id
    await running.kill()
