"""What an operator is told of topics that somebody made otherwise than declared."""

import pytest

from kit.bus.kafka_kept import differences
from kit.bus.kafka_settings import KafkaSettings, new_topic

ARRIVED = new_topic(KafkaSettings(prefix="a-", partitions=8, replicas=3), "study-arrived")
LETTERS = new_topic(KafkaSettings(), "dead-letters")
AS_DECLARED = {"partitions": "8", "replicas": "3", **ARRIVED.topic_configs}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("partitions", "2"),
        ("replicas", "1"),
        ("retention.ms", "60000"),
        ("retention.bytes", "1000000"),
        ("max.message.bytes", "1048588"),
        ("min.insync.replicas", "1"),
        ("cleanup.policy", "compact"),
    ],
)
def test_what_is_less_is_told_with_both_values(setting: str, value: str) -> None:
    (said,) = differences(ARRIVED, AS_DECLARED | {setting: value})
    wanted = AS_DECLARED.get(setting, "-1")
    assert said.startswith(f"topic a-study-arrived: {setting} is {value}, declared is {wanted}: ")


@pytest.mark.parametrize(
    "found",
    [AS_DECLARED, {}, AS_DECLARED | {"partitions": "64", "retention.ms": "-1", "retention.bytes": "-1"}],
)
def test_what_is_as_declared_or_more_or_not_known_is_not(found: dict[str, str]) -> None:
    assert differences(ARRIVED, found) == []


def test_letters_that_go_by_age_are_told() -> None:
    (said,) = differences(LETTERS, {"cleanup.policy": "delete"})
    assert "declared is compact" in said
