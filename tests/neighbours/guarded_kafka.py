"""A Kafka of its own with names, passwords and rights: those of k8s/'s users, and nobody else's."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.protocol.admin import CreateAclsRequest

from kit.bus.kafka_settings import KafkaSettings, connection
from scripts.engines.__main__ import ROOT
from tests.neighbours.engines import engine
from tests.neighbours.process import NeighbourProcess, free_port

PASSWORD = "of-this-test"
_JAVA = ("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp")
_TYPES = {"topic": 2, "group": 3}
_OPERATIONS = {"Read": 3, "Write": 4, "Describe": 8, "DescribeConfigs": 10}
_LITERAL, _ALLOW = 3, 3


def account(port: int, user: str) -> KafkaSettings:
    return KafkaSettings(
        servers=f"127.0.0.1:{port}",
        username=user,
        password=PASSWORD,
        mechanism="PLAIN",
        create_topics=False,
    )


@contextmanager
def guarded_kafka(folder: Path, topics: list[dict[str, Any]], users: list[dict[str, Any]]) -> Iterator[int]:
    """The port. `topics` and `users` are Strimzi's resources; what they say is done as its operator does it,
    on one node and with fewer partitions."""
    engine("kafka")
    port, controller = free_port(), free_port()
    names = [user["metadata"]["name"] for user in users]
    known = " ".join(f'user_{name}="{PASSWORD}"' for name in ("admin", *names))
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    properties = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"SASL_PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"SASL_PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config": (
            f'{module} required username="admin" password="{PASSWORD}" {known};'
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:admin;User:ANONYMOUS",
        "log.dirs": folder / "data",
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "group.initial.rebalance.delay.ms": 0,
        "log.segment.bytes": 16 << 20,
        "log.index.size.max.bytes": 64 << 10,
        "log.cleaner.dedupe.buffer.size": 16 << 20,
    }
    path = folder / "server.properties"
    path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    java = [*_JAVA, f"{ROOT / 'kafka' / 'lib'}/*"]
    format_command = [
        *java,
        "kafka.tools.StorageTool",
        "format",
        "-t",
        "QW50ZXJvb20tZ3VhcmRlZA",
        "-c",
        str(path),
    ]
    subprocess.run(format_command, check=True, capture_output=True)
    broker = NeighbourProcess([*java, "kafka.Kafka", str(path)], log=folder / "log")
    broker.start(lambda: asyncio.run(_answers(account(port, "admin"))))
    try:
        asyncio.run(_say_who_may(account(port, "admin"), topics, users))
        yield port
    finally:
        broker.stop()


async def _answers(admin: KafkaSettings) -> bool:
    client = AIOKafkaAdminClient(**connection(admin))
    try:
        await client.start()
        await client.list_topics()
    except Exception:  # noqa: BLE001 - whatever it is, it is not ready
        return False
    finally:
        await client.close()
    return True


async def _say_who_may(
    admin: KafkaSettings, topics: list[dict[str, Any]], users: list[dict[str, Any]]
) -> None:
    client = AIOKafkaAdminClient(**connection(admin))
    await client.start()
    try:
        await client.create_topics(
            [
                NewTopic(
                    topic["metadata"]["name"],
                    min(2, topic["spec"]["partitions"]),
                    1,
                    topic_configs={"cleanup.policy": topic["spec"]["config"]["cleanup.policy"]},
                )
                for topic in topics
            ]
        )
        for user in users:
            for rule in user["spec"]["authorization"]["acls"]:
                for operation in rule["operations"]:
                    await _allow(client, f"User:{user['metadata']['name']}", rule["resource"], operation)
    finally:
        await client.close()


async def _allow(
    client: AIOKafkaAdminClient, principal: str, resource: dict[str, str], operation: str
) -> None:
    assert resource["patternType"] == "literal"
    kind, what = _TYPES[resource["type"]], _OPERATIONS[operation]
    wanted = CreateAclsRequest(kind, resource["name"], _LITERAL, principal, "*", what, _ALLOW)
    answer = await client._send_request(wanted)
    assert all(creation[0] == 0 for creation in answer.creation_responses), answer
