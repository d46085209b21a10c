"""A process that ends while Kafka is away."""

import asyncio
import gc
import logging
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from kit.bus.kafka import KafkaBus
from kit.bus.kafka_settings import KafkaSettings
from kit.clock import utc_now


async def test_what_fails_at_the_end_is_one_line_and_no_task_that_nobody_asked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kit.bus")
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    bus = KafkaBus(KafkaSettings(), utc_now)

    async def close() -> None:
        raise KafkaConnectionError

    monkeypatch.setattr(bus._log, "close", close)
    await bus.stop()
    gc.collect()
    assert complaints == []
    assert caplog.messages == ["a connection to Kafka did not end in order: KafkaConnectionError"]
