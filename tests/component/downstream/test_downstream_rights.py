"""The user that schemas/README.md gives a consumer may read what it is for, and no more."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from kit.bus.kafka_settings import connection
from schemas.wire import encode
from scripts.strimzi import topics
from tests.component.downstream.shown import (
    KCAT_ALL,
    KCAT_GROUP,
    ON_KAFKA,
    READER,
    TOPIC,
    Running,
    alone,
    forwarded,
)
from tests.neighbours.guarded_kafka import PASSWORD, account, guarded_kafka

NAME = READER["metadata"]["name"]
OTHER = "study-arrived"
SIGNED = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanisms": "PLAIN",
    "sasl.username": NAME,
    "sasl.password": PASSWORD,
}


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    there = [topic for topic in topics() if topic["metadata"]["name"] in (TOPIC, OTHER)]
    with guarded_kafka(tmp_path_factory.mktemp("kafka"), there, [READER]) as port:
        asyncio.run(_publish(port))
        yield port


async def _publish(port: int) -> None:
    producer = AIOKafkaProducer(**connection(account(port, "admin")))
    await producer.start()
    for number in range(3):
        event = forwarded(number)
        await producer.send_and_wait(TOPIC, encode(event), key=event.key.encode())
    await producer.send_and_wait(OTHER, b"{}", key=b"k")
    await producer.stop()


async def test_the_consumer_in_python_reads_with_it(kafka: int, tmp_path: Path) -> None:
    signed = (
        'bootstrap_servers=os.environ["KAFKA"], security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN", '
        f'sasl_plain_username="{NAME}", sasl_plain_password="{PASSWORD}",'
    )
    given = 'bootstrap_servers=os.environ["KAFKA"],'
    assert given in ON_KAFKA
    program = alone(tmp_path, ON_KAFKA.replace(given, signed))
    running = await Running.begin(sys.executable, program, KAFKA=f"127.0.0.1:{kafka}")
    assert {line.split()[2] for line in await running.lines(3)} == {"s0", "s1", "s2"}
    await running.kill()


@pytest.mark.skipif(not shutil.which("kcat"), reason="kcat is not installed here")
def test_kcat_reads_with_it_and_gets_nothing_else(kafka: int) -> None:
    options = " ".join(f"-X {name}={value}" for name, value in SIGNED.items())

    def run(line: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            line.replace("kcat ", f"kcat {options} ", 1), shell=True, capture_output=True, text=True,
            env={**os.environ, "KAFKA": f"127.0.0.1:{kafka}"}, timeout=60, check=False, **more,
        )  # fmt: skip

    for line in (KCAT_ALL, KCAT_GROUP):
        done = run(line)
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 3), done.stderr
    assert run(KCAT_ALL.replace(TOPIC, OTHER)).stdout == ""
    assert run(KCAT_GROUP.replace("report-to-shell", "notify")).stdout == ""
    refused = run(f"kcat -P -b $KAFKA -t {TOPIC}", input="forged\n")
    assert refused.returncode != 0
    assert len(run(KCAT_ALL).stdout.splitlines()) == 3
