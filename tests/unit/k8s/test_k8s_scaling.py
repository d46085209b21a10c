"""What scales, and on what: groups, gauges and topics are those of the code."""

import re

from kit.bus.kafka_settings import LARGEST_RECORD
from kit.bus.letters import TOPIC as LETTERS
from schemas.catalogue import TOPICS
from scripts import strimzi
from tests.unit.k8s.rendering import K8S, SERVICES, named, of_kind, rendered

TASKS_DUE = "anteroom_tasks_due"


def triggers() -> dict[str, list[dict]]:
    return {
        d["metadata"]["name"]: d["spec"]["triggers"]
        for d in of_kind(rendered("overlays/prod"), "ScaledObject")
    }


def test_every_service_scales_by_what_it_waits_for() -> None:
    kinds = {name: {trigger["type"] for trigger in found} for name, found in triggers().items()}
    assert kinds == {
        "upload": {"cpu"},
        "portal": {"cpu"},
        "view": {"cpu"},
        "validate": {"kafka", "prometheus"},
        "match": {"kafka"},
        "forward": {"prometheus"},
        "notify": {"prometheus"},
    }
    assert set(kinds) == set(SERVICES)


def test_targets_are_there_and_limits_make_sense() -> None:
    found = rendered("overlays/prod")
    for scaled in of_kind(found, "ScaledObject"):
        spec = scaled["spec"]
        named(found, spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"])
        assert 3 == spec["minReplicaCount"] < spec["maxReplicaCount"] <= 64
        for trigger in spec["triggers"]:
            assert ("fallback" in spec) == (trigger["type"] != "cpu")


def test_lag_is_that_of_groups_that_exist() -> None:
    asked = strimzi.subscriptions()
    where = named(rendered("overlays/prod"), "Namespace", "anteroom")["metadata"]["name"]
    for service, found in triggers().items():
        for trigger in found:
            if trigger["type"] == "kafka":
                assert trigger["metadata"]["consumerGroup"] in asked[service].groups
                assert trigger["metadata"]["bootstrapServers"] == f"anteroom-kafka-bootstrap.{where}.svc:9093"


def test_gauges_are_asked_for_by_their_own_name() -> None:
    for service, found in triggers().items():
        for trigger in found:
            if trigger["type"] == "prometheus":
                query = trigger["metadata"]["query"]
                assert re.findall(r'[a-z_]+\{service="([a-z]+)"\}', query) == [service]
                assert TASKS_DUE in query


def test_topics_are_those_of_the_catalogue() -> None:
    made = {d["metadata"]["name"]: d["spec"] for d in of_kind(rendered("overlays/prod"), "KafkaTopic")}
    assert made.keys() == {*TOPICS, LETTERS}
    for name, topic in TOPICS.items():
        assert made[name]["partitions"] == topic.partitions
        assert made[name]["config"]["retention.ms"] == topic.retention_days * 86_400_000
    assert made[LETTERS]["config"]["cleanup.policy"] == "compact"


def test_generated_files_are_fresh() -> None:
    for path, text in strimzi.files().items():
        assert path.read_text() == text, f"{path.relative_to(K8S.parent)}: make manifests"


def test_a_service_writes_only_its_own_topics_and_reads_what_it_subscribes_to() -> None:
    users = {d["metadata"]["name"]: d["spec"] for d in of_kind(rendered("overlays/prod"), "KafkaUser")}
    assert users.keys() == {f"anteroom-{name}" for name in (*SERVICES, "keda", "operator")}
    writers: dict[str, list[str]] = {}
    for name, spec in users.items():
        for rule in spec["authorization"]["acls"]:
            assert not {"Delete", "All", "Alter"} & set(rule["operations"])
            assert (
                rule["resource"]["name"] != "*"
                or name.endswith("operator")
                or {*rule["operations"]} <= {"Describe", "DescribeConfigs"}
            )
            if "Write" in rule["operations"] and rule["resource"]["name"] in TOPICS:
                writers.setdefault(rule["resource"]["name"], []).append(name)
    assert writers == {topic: [f"anteroom-{strimzi.owner(topic)}"] for topic in TOPICS}


def test_brokers_take_the_largest_record() -> None:
    config = named(rendered("overlays/prod"), "Kafka", "anteroom")["spec"]["kafka"]["config"]
    assert config["message.max.bytes"] == config["replica.fetch.max.bytes"] == LARGEST_RECORD
    assert config["auto.create.topics.enable"] is False
    broker = named(rendered("overlays/dev"), "StatefulSet", "kafka")["spec"]["template"]["spec"][
        "containers"
    ][0]
    values = {variable["name"]: variable["value"] for variable in broker["env"]}
    assert int(values["KAFKA_MESSAGE_MAX_BYTES"]) == LARGEST_RECORD
