"""What an operator reads of what Kafka's client logs."""

import logging
from collections.abc import Iterator

import pytest
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    KafkaError,
    NotLeaderForPartitionError,
)

from kit.bus.client_logs import OncePerMinute


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[logging.Logger]:
    logger, calm = logging.getLogger("of-a-client"), OncePerMinute()
    logger.addFilter(calm)
    caplog.set_level(logging.INFO, logger.name)
    yield logger
    logger.removeFilter(calm)


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (GroupCoordinatorNotAvailableError(), "INFO"),
        (NotLeaderForPartitionError(), "INFO"),
        (GroupAuthorizationFailedError("g"), "ERROR"),
    ],
)
def test_what_passes_by_itself_at_a_first_start_alarms_nobody(
    heard: logging.Logger, caplog: pytest.LogCaptureFixture, error: KafkaError, level: str
) -> None:
    heard.error("Group Coordinator Request failed: %s", error)
    assert [record.levelname for record in caplog.records] == [level]


def test_it_keeps_no_real_error_of_the_same_words_back(
    heard: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    for error in (GroupCoordinatorNotAvailableError(), GroupAuthorizationFailedError("g")) * 2:
        heard.error("Group Coordinator Request failed: %s", error)
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR"]
