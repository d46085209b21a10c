"""The AsyncAPI document says what is published and how it is kept, and says it by itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

import schemas
from kit.bus.kafka_settings import KafkaSettings, new_topic
from schemas.asyncapi import Installation, document
from schemas.catalogue import LETTERS, LOGS, TOPICS

EXAMPLES = sorted((Path(schemas.__file__).parent / "examples").rglob("*.json"))
DOCUMENT = document()
THERE = Installation(
    brokers=("kafka-a:9093", "kafka-b:9093"),
    tls=True,
    mechanism="SCRAM-SHA-512",
    prefix="clinic-",
    partitions=8,
    replicas=3,
)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (node["$ref"],) if isinstance(node.get("$ref"), str) else ()
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


@pytest.mark.parametrize("place", [Installation(), THERE])
def test_it_refers_to_nothing_outside(place: Installation) -> None:
    whole = document(place)
    for reference in set(references(whole)):
        node: Any = whole
        first, *steps = reference.split("/")
        assert first == "#"
        for step in steps:
            node = node[step]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_its_schemas_take_the_examples_and_refuse_what_is_none(path: Path) -> None:
    content = json.loads(path.read_text())
    (title,) = DOCUMENT["channels"][content["topic"]]["messages"]
    registry: Registry[Any] = Registry().with_resource("urn:a", Resource(DOCUMENT, DRAFT7))
    validator = jsonschema.Draft7Validator({"$ref": f"urn:a#/components/schemas/{title}"}, registry=registry)
    validator.validate(content)
    for broken in ({**content, "topic": "other"}, {**content, "id": 1}, {"topic": content["topic"]}):
        assert not validator.is_valid(broken)


@pytest.mark.parametrize("name", TOPICS)
def test_topics_are_made_as_it_says(name: str) -> None:
    settings = KafkaSettings(prefix=THERE.prefix, partitions=THERE.partitions, replicas=3)
    made = new_topic(settings, name)
    channel = document(THERE)["channels"][name]
    said = channel["bindings"]["kafka"]
    assert channel["address"] == said["topic"] == made.name
    assert (said["partitions"], said["replicas"]) == (made.num_partitions, made.replication_factor)
    kept = said["topicConfiguration"]
    assert made.topic_configs["cleanup.policy"] == ",".join(kept["cleanup.policy"])
    assert made.topic_configs["retention.ms"] == str(kept["retention.ms"])
    assert DOCUMENT["channels"][name]["bindings"]["kafka"]["partitions"] == LOGS[name].partitions


def test_letters_are_kept_by_key_and_not_by_age() -> None:
    made = new_topic(KafkaSettings(), LETTERS)
    assert (made.num_partitions, made.topic_configs["cleanup.policy"]) == (1, "compact")
    assert "retention.ms" not in made.topic_configs


def test_every_event_is_said_to_be_sent_by_its_owner() -> None:
    said = {
        operation["channel"]["$ref"].rpartition("/")[2]: operation["tags"][0]["name"]
        for operation in DOCUMENT["operations"].values()
    }
    assert said == {name: topic.event.owner for name, topic in TOPICS.items()}


def test_it_says_where_kafka_is_and_how_one_gets_in() -> None:
    assert "servers" not in DOCUMENT
    servers = document(THERE)["servers"]
    assert [server["host"] for server in servers.values()] == list(THERE.brokers)
    assert {server["protocol"] for server in servers.values()} == {"kafka-secure"}
    assert document(THERE)["components"]["securitySchemes"] == {"account": {"type": "scramSha512"}}
    plain = document(Installation(brokers=("kafka:9092",)))["servers"]["kafka-1"]
    assert plain == {"host": "kafka:9092", "protocol": "kafka"}
