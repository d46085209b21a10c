"""How to reach Kafka, and how topics are made there: schemas/catalogue.py says which."""

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code
from faststream.kafka.security import parse_security
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from kit.bus.kafka_words import why
from kit.bus.letters import TOPIC as LETTERS
from kit.errors import PermanentError, Unavailable
from schemas.catalogue import LOGS

Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
LARGEST = 8 << 20
"""Bytes of one event at most."""
LARGEST_RECORD = 2 * LARGEST + (1 << 20)
"""A dead letter holds its event as a text within a text."""

_SECURITIES = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
_MAKES = {
    True: "it was made a moment ago, or a broker is away",
    False: "kafka.create_topics is off, so make it (k8s/components/kafka/topics.yaml, anteroom index)",
}
_EXISTS = 36
_LOOKS = 50
_LOOK_AGAIN_S = 0.1


@dataclass(frozen=True)
class KafkaSettings:
    servers: str = "127.0.0.1:9092"
    prefix: str = ""
    """Before the names of topics and groups, where several installations share one Kafka."""
    create_topics: bool = True
    """False where the cluster's operator makes them."""
    replicas: int = 1
    """Copies of every partition; all but one must have an event before it counts as durable."""
    partitions: int = 64
    """At most so many a topic: what can be handled side by side. Fewer for a small installation."""
    username: str = ""
    password: str = ""
    mechanism: Mechanism = "SCRAM-SHA-512"
    tls: bool = False
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""


def security(settings: KafkaSettings) -> BaseSecurity:
    """Raises PermanentError when its files can't be used."""
    context = None
    if settings.tls:
        try:
            context = ssl.create_default_context(cafile=settings.ca_file or None)
            if settings.certificate_file:
                context.load_cert_chain(settings.certificate_file, settings.key_file or None)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise PermanentError(
                f"kafka.ca_file, kafka.certificate_file or kafka.key_file can't be used: {reason}."
            ) from error
    if settings.username:
        kind = _SECURITIES[settings.mechanism]
        return kind(settings.username, settings.password, ssl_context=context, use_ssl=settings.tls)
    return BaseSecurity(ssl_context=context, use_ssl=settings.tls)


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """The arguments of aiokafka's own clients."""
    return {
        "bootstrap_servers": settings.servers.split(","),
        "client_id": "anteroom",
        "request_timeout_ms": 15_000,
        **parse_security(security(settings)),
    }


async def ensure_topics(settings: KafkaSettings, names: Iterable[str]) -> None:
    """Make the topics that are missing, and wait until all can be used. Raises Unavailable."""
    wanted = {settings.prefix + name: new_topic(settings, name) for name in (*names, LETTERS)}
    admin = AIOKafkaAdminClient(**connection(settings))
    try:
        await admin.start()
        missing = await _missing(admin, wanted)
        if missing and settings.create_topics:
            answer = await admin.create_topics([wanted[name] for name in missing])
            for name, code, *_ in answer.topic_errors:
                if code not in (0, _EXISTS):
                    raise Unavailable("Kafka", f"topic {name} can't be made: {why(for_code(code))}")
        for _ in range(_LOOKS):
            if not missing:
                return
            await asyncio.sleep(_LOOK_AGAIN_S)
            missing = await _missing(admin, wanted)
        if missing:
            raise Unavailable(
                "Kafka", f"topic {missing[0]} is not there yet: {_MAKES[settings.create_topics]}"
            )
    except (KafkaError, OSError, TimeoutError) as error:
        raise Unavailable("Kafka", why(error)) from error
    finally:
        await admin.close()


async def remove_topics(settings: KafkaSettings) -> None:
    """Remove every topic with the prefix, which must not be empty: for tests that made their own."""
    if not settings.prefix:
        raise ValueError("without a prefix every topic would go")
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        found = [name for name in await admin.list_topics() if name.startswith(settings.prefix)]
        await admin.delete_topics(found)
    finally:
        await admin.close()


async def _missing(admin: AIOKafkaAdminClient, wanted: Iterable[str]) -> list[str]:
    """Topics that are absent or have a partition without a leader."""
    found = await admin.describe_topics(list(wanted))
    return [
        topic["topic"]
        for topic in found
        if topic["error_code"]
        or any(part["error_code"] or part["leader"] < 0 for part in topic["partitions"])
    ]


def new_topic(settings: KafkaSettings, name: str) -> NewTopic:
    """How the topic is made: `name` is one of the catalogue's, or that of the dead letters."""
    log = LOGS[name]
    return NewTopic(
        settings.prefix + name,
        min(log.partitions, settings.partitions),
        settings.replicas,
        topic_configs={
            "max.message.bytes": str(LARGEST_RECORD),
            "min.insync.replicas": str(max(1, settings.replicas - 1)),
            **log.configuration(),
        },
    )
