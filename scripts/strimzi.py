"""Topics and users of Kafka as Strimzi resources, out of the catalogue and of what services subscribe to.

`python -m scripts.strimzi` writes k8s/components/kafka/topics.yaml and users.yaml; with --check it only says
whether they are as they should be.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import yaml

from anteroom.composition import BUILDERS
from anteroom.embedded import open_embedded
from anteroom.settings import Settings
from kit.bus.kafka_settings import KafkaSettings, new_topic
from kit.bus.letters import TOPIC as LETTERS
from kit.bus.port import Bus
from kit.service import Site
from schemas.catalogue import TOPICS
from schemas.envelope import Event

FOLDER = Path(__file__).parents[1] / "k8s" / "components" / "kafka"
REPLICAS = 3
_HEAD = "# Made by: python -m scripts.strimzi\n"
_LABELS = {"strimzi.io/cluster": "anteroom"}
_WATCHER, _OPERATOR = "keda", "operator"


@dataclass
class Subscriptions:
    """Stands in for the bus while a service is built: only notes what it asks for."""

    topics: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)

    def subscribe(self, event: type[Event], group: str, _: object) -> None:
        self.topics.add(event.topic)
        self.groups.add(group)

    def tail(self, event: type[Event], _: object) -> None:
        self.topics.add(event.topic)


def subscriptions() -> dict[str, Subscriptions]:
    """What every service reads, and in which groups."""
    return asyncio.run(_subscriptions())


async def _subscriptions() -> dict[str, Subscriptions]:
    found = {name: Subscriptions() for name in BUILDERS}
    with tempfile.TemporaryDirectory() as folder:
        embedded = open_embedded(Path(folder) / "data", Site())
        try:
            for name, build in BUILDERS.items():
                build(replace(embedded.kit, bus=cast(Bus, found[name])), Settings())
        finally:
            await embedded.close()
    return found


def owner(topic: str) -> str:
    """The service that publishes it: the one whose module of schemas declares it."""
    return TOPICS[topic].event.__module__.rpartition(".")[2]


def topics() -> Iterator[dict[str, Any]]:
    settings = KafkaSettings(replicas=REPLICAS)
    for name in sorted((*TOPICS, LETTERS)):
        made = new_topic(settings, name)
        yield _resource(
            "KafkaTopic",
            name,
            {
                "partitions": made.num_partitions,
                "replicas": made.replication_factor,
                "config": {
                    key: int(value) if value.isdigit() else value for key, value in made.topic_configs.items()
                },
            },
        )


def users() -> Iterator[dict[str, Any]]:
    """One a service: it sees that everything exists and how far groups are, which metrics need; it reads what
    it subscribes to and writes its own. The portal shows the log, so it reads all. And two more: KEDA looks
    at groups; operators back up, restore and migrate."""
    for name, asked in sorted(subscriptions().items()):
        reads = set(TOPICS) if name == "portal" else asked.topics
        writes = {topic for topic in TOPICS if owner(topic) == name}
        yield _user(
            name,
            [
                *_look(),
                _rule("topic", LETTERS, "Read", "Write"),
                *(_rule("topic", topic, "Write") for topic in sorted(writes)),
                *(_rule("topic", topic, "Read") for topic in sorted(reads)),
                *(_rule("group", group, "Read") for group in sorted(asked.groups)),
            ],
        )
    yield _user(_WATCHER, _look())
    yield _user(
        _OPERATOR,
        [
            _rule("topic", "*", "Describe", "DescribeConfigs", "Read", "Write"),
            _rule("group", "*", "Describe", "Read"),
        ],
    )


def _look() -> list[dict[str, Any]]:
    return [_rule("topic", "*", "Describe", "DescribeConfigs"), _rule("group", "*", "Describe")]


def _rule(kind: str, name: str, *operations: str) -> dict[str, Any]:
    return {
        "resource": {"type": kind, "name": name, "patternType": "literal"},
        "operations": list(operations),
    }


def _user(service: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return _resource(
        "KafkaUser",
        f"anteroom-{service}",
        {
            "authentication": {"type": "scram-sha-512"},
            "authorization": {"type": "simple", "acls": rules},
        },
    )


def _resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": dict(_LABELS)},
        "spec": spec,
    }


class _Plain(yaml.SafeDumper):
    """Everything spelled out, nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def files() -> dict[Path, str]:
    made = {FOLDER / "topics.yaml": topics(), FOLDER / "users.yaml": users()}
    return {
        path: _HEAD + yaml.dump_all(documents, Dumper=_Plain, sort_keys=False)
        for path, documents in made.items()
    }


def main(arguments: list[str]) -> int:
    stale = [path for path, text in files().items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.name} is not what the code says: python -m scripts.strimzi")
        return 1 if stale else 0
    for path, text in files().items():
        path.write_text(text)
        print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
