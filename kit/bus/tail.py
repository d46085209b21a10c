"""The end of some topics on Kafka, for one process: no group, nothing committed, nothing tried again."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalStateError, KafkaError

from schemas.wire import decode

_log = logging.getLogger(__name__)

_FIRST_S = 10.0
_AGAIN_S = 1.0


class Tail:
    """`connection` holds the arguments of aiokafka's clients. While Kafka is away news are missed; afterwards
    it goes on at the end that there is then."""

    def __init__(self, connection: Mapping[str, Any], prefix: str) -> None:
        self._connection = dict(connection)
        self._prefix = prefix
        self._hearing: dict[str, list[Callable[[Any], None]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._reading = asyncio.Event()

    def hear(self, topic: str, hear: Callable[[Any], None]) -> None:
        """Before start. `hear` is called with every event of the topic."""
        self._hearing.setdefault(topic, []).append(hear)

    async def start(self) -> None:
        """Returns once it reads, or after a while without: news are worth no longer wait."""
        if self._hearing:
            self._task = asyncio.create_task(self._keep_reading(), name="bus-tail")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._reading.wait(), _FIRST_S)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_reading(self) -> None:
        while True:
            consumer = AIOKafkaConsumer(
                *(self._prefix + topic for topic in self._hearing),
                **self._connection,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="latest",
            )
            try:
                await self._read(consumer)
            except (KafkaError, IllegalStateError, OSError) as error:
                _log.info("news are missed for a while: %s", type(error).__name__)
            except Exception:  # noqa: BLE001 - the edge: a tail that ended would say nothing
                _log.exception("news are missed for a while")
            finally:
                self._reading.clear()
                with suppress(KafkaError, OSError):
                    await consumer.stop()
            await asyncio.sleep(_AGAIN_S)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        await consumer.start()
        await consumer.seek_to_end()
        for partition in consumer.assignment():
            await consumer.position(partition)
        self._reading.set()
        async for record in consumer:
            self._tell(record.value)

    def _tell(self, content: bytes) -> None:
        try:
            event = decode(content)
        except (KeyError, ValueError):
            return
        for hear in self._hearing.get(event.topic, ()):
            hear(event)
