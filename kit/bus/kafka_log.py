"""Looking into the logs of Kafka without a group: ranges of records, ends, and groups' offsets."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IllegalStateError, KafkaError

from kit.bus.kafka_words import why
from kit.errors import Unavailable

Offsets = dict[TopicPartition, int]
_READ_S = 30.0


class KafkaLog:
    """One reader at a time. `connection` holds the arguments of every aiokafka client."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self._connection = dict(connection)
        self._lock = asyncio.Lock()
        self._consumer: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        admin, self._admin = self._admin, None
        if consumer is not None:
            await consumer.stop()
        if admin is not None:
            await admin.close()

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """All partitions of those topics that exist."""
        wanted = list(topics)
        async with self._clients() as (_, admin):
            found = await admin.describe_topics(wanted)
        return [
            TopicPartition(topic["topic"], part["partition"])
            for topic in found
            if not topic["error_code"]
            for part in topic["partitions"]
        ]

    async def begins(self, partitions: Iterable[TopicPartition]) -> Offsets:
        async with self._clients() as (consumer, _):
            return await _in_parts(consumer.beginning_offsets, list(partitions))

    async def ends(self, partitions: Iterable[TopicPartition]) -> Offsets:
        async with self._clients() as (consumer, _):
            return await _in_parts(consumer.end_offsets, list(partitions))

    async def at(self, partitions: Iterable[TopicPartition], milliseconds: int, ends: Offsets) -> Offsets:
        """The first offsets at or after that time; the end where there is none."""
        async with self._clients() as (consumer, _):
            asked = dict.fromkeys(partitions, milliseconds)
            found = await consumer.offsets_for_times(asked) if asked else {}
        return {p: ends[p] if found.get(p) is None else found[p].offset for p in asked}

    async def window(
        self, after: int | None, limit: int, begins: Offsets, ends: Offsets, *, now: datetime
    ) -> tuple[Offsets, Offsets]:
        """Ranges that hold `limit` records behind that position (None: the last ones), and not much more."""
        start = begins if not after else await self.at(begins, after // 1000, ends)
        for minutes in (1, 15, 240, 5760):
            span = timedelta(minutes=minutes).total_seconds() * 1000
            if after is None:
                window = await self.at(begins, int(now.timestamp() * 1000 - span), ends), ends
            elif after:
                window = start, await self.at(begins, int(after / 1000 + span), ends)
            else:
                break
            if sum(window[1][p] - window[0][p] for p in begins) > 2 * limit:
                return window
        return start, ends

    async def groups(self) -> list[str]:
        async with self._clients() as (_, admin):
            return sorted(group for group, *_ in await admin.list_consumer_groups())

    async def committed(self, group: str) -> Offsets:
        async with self._clients() as (_, admin):
            found = await admin.list_consumer_group_offsets(group)
        return {partition: entry.offset for partition, entry in found.items() if entry.offset >= 0}

    async def read(self, starts: Offsets, ends: Offsets) -> list[Any]:
        """The records from each start up to its end, partition by partition. Raises Unavailable."""
        open_ends = {p: end for p, end in ends.items() if starts.get(p, 0) < end}
        records: list[Any] = []
        if not open_ends:
            return records
        async with self._clients() as (consumer, _):
            consumer.assign(list(open_ends))
            try:
                for partition in open_ends:
                    consumer.seek(partition, starts.get(partition, 0))
                while open_ends:
                    for batch in (await consumer.getmany(timeout_ms=500)).values():
                        records += batch
                    for partition in list(open_ends):
                        if await consumer.position(partition) >= open_ends[partition]:
                            del open_ends[partition]
                            consumer.pause(partition)
            finally:
                consumer.unsubscribe()
        return [
            record
            for record in records
            if record.offset < ends[TopicPartition(record.topic, record.partition)]
        ]

    @asynccontextmanager
    async def _clients(self) -> AsyncIterator[tuple[AIOKafkaConsumer, AIOKafkaAdminClient]]:
        async with self._lock:
            try:
                async with asyncio.timeout(_READ_S):
                    if self._consumer is None or self._admin is None:
                        await self._open()
                    assert self._consumer is not None
                    assert self._admin is not None
                    yield self._consumer, self._admin
            except (KafkaError, IllegalStateError, OSError, TimeoutError) as error:
                await self.close()
                raise Unavailable("Kafka", why(error)) from error

    async def _open(self) -> None:
        await self.close()
        self._admin = AIOKafkaAdminClient(**self._connection)
        await self._admin.start()
        self._consumer = AIOKafkaConsumer(
            **self._connection, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await self._consumer.start()


async def _in_parts(ask: Any, partitions: list[TopicPartition]) -> Offsets:
    found: Offsets = await ask(partitions) if partitions else {}
    return found
