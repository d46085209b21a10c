"""The event log of Kafka as a whole: read from its beginning, written anew, and groups' positions set.

For moving and backing up whole installations, while no service of the written one runs. Entries carry
their number in a header, so that writing goes on after a break and what was written can be checked.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from kit.bus.kafka import POSITION
from kit.bus.kafka_log import KafkaLog, Offsets
from kit.bus.kafka_settings import LARGEST_RECORD, KafkaSettings, connection, ensure_topics
from kit.bus.kafka_words import why
from kit.bus.letters import TOPIC as LETTERS
from kit.bus.letters import Letter
from kit.bus.letters import read as read_letter
from kit.bus.partitions import partition_of
from kit.clock import Clock
from kit.errors import Unavailable
from kit.transfer import Entry
from schemas.catalogue import TOPICS

_NUMBER = "moved"
_TROUBLE = (KafkaError, OSError, TimeoutError)


@dataclass(frozen=True)
class Groups:
    """How far each group had come: for each the topics it reads, and its offsets in them."""

    topics: dict[str, list[str]]
    offsets: dict[str, Offsets] = field(repr=False)


class KafkaEntries:
    def __init__(self, settings: KafkaSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._log = KafkaLog(connection(settings))

    async def close(self) -> None:
        await self._log.close()

    async def prepare(self) -> None:
        """Make the topics that are missing. Raises Unavailable."""
        await ensure_topics(self._settings, tuple(TOPICS))

    async def empty(self) -> bool:
        """Whether no topic of ours holds, or ever held, a record. Raises Unavailable."""
        partitions = await self._partitions([*TOPICS, LETTERS])
        return not any((await self._log.ends(partitions)).values())

    async def ends(self) -> dict[str, int]:
        """Where every log ends, and where every group stands: the same twice says that nothing happened."""
        partitions = await self._partitions([*TOPICS, LETTERS])
        found = {f"{p.topic} {p.partition}": at for p, at in (await self._log.ends(partitions)).items()}
        for group, offsets in (await self.groups()).offsets.items():
            found |= {f"{group} {p.topic} {p.partition}": at for p, at in offsets.items()}
        return found

    async def groups(self) -> Groups:
        """What was committed by every group that reads our topics, a downstream reader's too."""
        prefix = self._settings.prefix
        ours = {prefix + topic: topic for topic in TOPICS}
        topics: dict[str, list[str]] = {}
        offsets: dict[str, Offsets] = {}
        for group in await self._log.groups():
            if not group.startswith(prefix):
                continue
            found = {p: at for p, at in (await self._log.committed(group)).items() if p.topic in ours}
            if found:
                name = group.removeprefix(prefix)
                topics[name] = sorted({ours[p.topic] for p in found})
                offsets[name] = found
        return Groups(topics, offsets)

    async def entries(self, groups: Groups) -> AsyncIterator[list[Entry]]:
        """The log, topic by topic and partition by partition, up to where it ends now."""
        number = 0
        for topic in TOPICS:
            readers = [group for group, names in groups.topics.items() if topic in names]
            async for records in self._records(topic):
                found = []
                for record in records:
                    number += 1
                    at = TopicPartition(record.topic, record.partition)
                    waiting = [g for g in readers if groups.offsets[g].get(at, 0) <= record.offset]
                    found.append(Entry(number, topic, record.value, tuple(waiting)))
                yield found

    async def letters(self) -> list[Letter]:
        """Every dead letter in its newest state."""
        known: dict[str, Letter | None] = {}
        async for records in self._records(LETTERS):
            for record in records:
                known[record.key.decode()] = read_letter(record)
        return [letter for letter in known.values() if letter is not None]

    async def written(self) -> AsyncIterator[list[Entry]]:
        """The entries that append() wrote, each once, in order within a partition."""
        last: dict[TopicPartition, int] = {}
        for topic in TOPICS:
            async for records in self._records(topic):
                found = []
                for record in records:
                    at, number = TopicPartition(record.topic, record.partition), _number(record)
                    if number > last.get(at, 0):
                        last[at] = number
                        found.append(Entry(number, topic, record.value))
                yield found

    async def newest(self) -> Offsets:
        """The highest number written in each partition: everything up to it is there."""
        partitions = await self._partitions(TOPICS)
        begins, ends = await self._log.begins(partitions), await self._log.ends(partitions)
        last = {p: ends[p] - 1 for p in partitions if ends[p] > begins[p]}
        records = await self._log.read(last, {p: at + 1 for p, at in last.items()})
        return {TopicPartition(r.topic, r.partition): _number(r) for r in records}

    @asynccontextmanager
    async def appending(self) -> AsyncIterator["Appending"]:
        """Raises Unavailable, also from what is done within."""
        counts: dict[str, int] = {}
        for at in await self._partitions([*TOPICS, LETTERS]):
            counts[at.topic] = counts.get(at.topic, 0) + 1
        known = await self.newest()
        producer = AIOKafkaProducer(
            **connection(self._settings),
            enable_idempotence=True,
            acks="all",
            max_request_size=LARGEST_RECORD,
        )
        try:
            await producer.start()
            try:
                yield Appending(producer, self._settings.prefix, self._clock, counts, known)
            finally:
                await producer.stop()
        except _TROUBLE as error:
            raise Unavailable("Kafka", why(error)) from error

    async def set_positions(
        self, topics: Mapping[str, Sequence[str]], waiting: Mapping[str, set[int]]
    ) -> None:
        """Each group goes on with the first entry that waits for it in each partition, or at its end.
        Raises Unavailable, also while a group has members."""
        for topic in TOPICS:
            readers = [group for group, names in topics.items() if topic in names]
            if not readers:
                continue
            positions: dict[str, Offsets] = {group: {} for group in readers}
            async for records in self._records(topic):
                for record in records:
                    at, number = TopicPartition(record.topic, record.partition), _number(record)
                    for group in readers:
                        if number in waiting[group]:
                            positions[group].setdefault(at, record.offset)
            ends = await self._log.ends(await self._partitions([topic]))
            for group in readers:
                await self._commit(self._settings.prefix + group, {**ends, **positions[group]})

    async def _commit(self, group: str, offsets: Offsets) -> None:
        consumer = AIOKafkaConsumer(**connection(self._settings), group_id=group, enable_auto_commit=False)
        try:
            await consumer.start()
            try:
                consumer.assign(list(offsets))
                await consumer.commit(offsets)
            finally:
                await consumer.stop()
        except _TROUBLE as error:
            raise Unavailable("Kafka", why(error)) from error

    async def _partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        return await self._log.partitions([self._settings.prefix + topic for topic in topics])

    async def _records(self, topic: str) -> AsyncIterator[list[Any]]:
        """Every record of the topic up to its present end, in bounded portions, in order by partition."""
        partitions = await self._partitions([topic])
        begins, ends = await self._log.begins(partitions), await self._log.ends(partitions)
        left = {p: ends[p] for p in partitions if ends[p] > begins[p]}
        if not left:
            return
        consumer = AIOKafkaConsumer(
            **connection(self._settings), enable_auto_commit=False, auto_offset_reset="earliest"
        )
        try:
            await consumer.start()
            try:
                consumer.assign(list(left))
                while left:
                    got = await consumer.getmany(timeout_ms=500, max_records=1000)
                    for at, records in got.items():
                        yield [record for record in records if record.offset < ends[at]]
                    for at in list(left):
                        if await consumer.position(at) >= left[at]:
                            del left[at]
                            consumer.pause(at)
            finally:
                await consumer.stop()
        except _TROUBLE as error:
            raise Unavailable("Kafka", why(error)) from error


class Appending:
    """An open producer. What is there already, by number, is left out."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        prefix: str,
        clock: Clock,
        counts: Mapping[str, int],
        known: Offsets,
    ) -> None:
        self._producer = producer
        self._prefix = prefix
        self._clock = clock
        self._position = 0
        self._counts = counts
        self._known = known

    async def append(self, entries: Sequence[Entry]) -> None:
        """Durable on return, in the order given."""
        sent = []
        for entry in entries:
            topic, fields = self._prefix + entry.topic, orjson.loads(entry.body)
            key = fields["key"].encode()
            at = TopicPartition(topic, partition_of(key, self._counts[topic]))
            if entry.number <= self._known.get(at, 0):
                continue
            self._position = max(self._position + 1, int(self._clock().timestamp() * 1_000_000))
            headers = [
                (POSITION, str(self._position).encode()),
                (_NUMBER, str(entry.number).encode()),
                ("correlation_id", str(fields.get("correlation_id", "")).encode()),
            ]
            sent.append(
                await self._producer.send(
                    topic,
                    entry.body,
                    key=key,
                    partition=at.partition,
                    timestamp_ms=self._position // 1000,
                    headers=headers,
                )
            )
        for waiting in sent:
            await waiting

    async def bury(self, letter: Letter) -> None:
        """Write the letter, as often as one likes."""
        await self._producer.send_and_wait(
            self._prefix + LETTERS, letter.model_dump_json().encode(), key=letter.id.encode(), partition=0
        )


def _number(record: Any) -> int:
    """0 for a record that append() did not write."""
    return int(dict(record.headers).get(_NUMBER, b"0"))
