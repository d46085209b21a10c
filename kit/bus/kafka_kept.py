"""Whether topics that exist are kept as schemas/catalogue.py declares it. What others made is not changed."""

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from kit.bus.kafka_settings import KafkaSettings, connection, new_topic
from kit.bus.kafka_words import why
from kit.bus.letters import TOPIC as LETTERS
from kit.errors import Unavailable

_log = logging.getLogger(__name__)

_HARM = {
    "partitions": "fewer events are handled side by side",
    "replicas": "the loss of a broker can lose events",
    "retention.ms": "events that wait longer than that are lost",
    "retention.bytes": "events go when there are many, handled or not",
    "max.message.bytes": "large events are refused",
    "min.insync.replicas": "an event counts as safe with fewer copies than that",
    "cleanup.policy": "events go that are needed",
}
_UNLIMITED = -1


async def check_topics(settings: KafkaSettings, names: Iterable[str]) -> list[str]:
    """A sentence for each setting of a topic that is less than declared; topics that are absent are passed
    over, and settings that we have no right to see. Raises Unavailable."""
    wanted = {settings.prefix + name: new_topic(settings, name) for name in (*names, LETTERS)}
    admin = AIOKafkaAdminClient(**connection(settings))
    try:
        await admin.start()
        described = await admin.describe_topics(list(wanted))
        there = {topic["topic"]: topic["partitions"] for topic in described if not topic["error_code"]}
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in there]
        answers = await admin.describe_configs(asked) if asked else []
    except (KafkaError, OSError, TimeoutError) as error:
        raise Unavailable("Kafka", why(error)) from error
    finally:
        await admin.close()
    kept: dict[str, dict[str, str]] = {}
    for answer in answers:
        for resource in answer.to_object()["resources"]:
            entries = resource["config_entries"] if not resource["error_code"] else []
            kept[resource["resource_name"]] = {one["config_names"]: one["config_value"] for one in entries}
    return [
        sentence
        for name, partitions in sorted(there.items())
        for sentence in differences(wanted[name], _sizes(partitions) | kept.get(name, {}))
    ]


async def warn_of_topics(settings: KafkaSettings, names: Iterable[str]) -> None:
    """Say it in the log. Nothing is refused: a hospital whose topics are kept too short still needs its
    images, and the warning comes at every start."""
    with suppress(Unavailable):
        for sentence in await check_topics(settings, names):
            _log.warning("Kafka: %s", sentence)


def differences(wanted: NewTopic, found: Mapping[str, str]) -> list[str]:
    """What of `found`, in Kafka's words beside `partitions` and `replicas`, is less than wanted. More is
    right, a longer retention say; what is not in `found` is not known."""
    declared = {
        "partitions": str(wanted.num_partitions),
        "replicas": str(wanted.replication_factor),
        "retention.bytes": str(_UNLIMITED),
        **wanted.topic_configs,
    }
    return [
        f"topic {wanted.name}: {setting} is {found[setting]}, declared is {value}: {_HARM[setting]}"
        for setting, value in declared.items()
        if setting in found and _less(setting, found[setting], value)
    ]


def _less(setting: str, found: str, wanted: str) -> bool:
    if setting == "cleanup.policy":
        return found != wanted
    if int(found) == _UNLIMITED:
        return False
    return int(wanted) == _UNLIMITED or int(found) < int(wanted)


def _sizes(partitions: list[dict[str, Any]]) -> dict[str, str]:
    replicas = min((len(one["replicas"]) for one in partitions), default=0)
    return {"partitions": str(len(partitions)), "replicas": str(replicas)}
