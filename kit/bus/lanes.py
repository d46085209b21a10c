"""One group's partitions in one process: serial within each, side by side between them.

Records are taken from the consumer at once and wait here, so that polling and heartbeats never stop
for a handler; a partition with many waiting is paused. Only what was handled is committed.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

_log = logging.getLogger(__name__)

_HIGH = 200
"""Records waiting at which a partition is paused; it goes on at half."""

_COMMIT_EVERY = 0.2
_COMMIT_S = 5.0
"""Without Kafka the client would try for ever."""
_AGAIN_S = 5.0
_REVOKE_GRACE = 10.0
"""Below the group's rebalance timeout, within which a revoked partition must be given back."""

Work = Callable[[Any], Awaitable[bool]]
"""Handles one record; False leaves it uncommitted and stops its partition (we are shutting down)."""


@dataclass
class _Lane:
    waiting: deque[Any] = field(default_factory=deque)
    task: "asyncio.Task[None] | None" = None
    running: bool = False
    taken: bool = False
    paused: bool = False
    done: int | None = None
    """The offset to commit: the one behind the last record handled."""
    committed: int | None = None


class Lanes(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, group: str, work: Work, *, concurrency: int = 32) -> None:
        self._group = group
        self._work = work
        self._limit = asyncio.Semaphore(concurrency)
        self._lanes: dict[TopicPartition, _Lane] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._committer: asyncio.Task[None] | None = None
        self._assigned = asyncio.Event()
        self._closing = False

    def attach(self, consumer: AIOKafkaConsumer) -> None:
        """The consumer whose records these lanes get. Called once it exists, before its first record."""
        self._consumer = consumer
        self._committer = self._committer or asyncio.create_task(self._keep_committing())

    @property
    def assigned(self) -> bool:
        """Whether the group has said which partitions are ours (possibly none)."""
        return self._assigned.is_set()

    def done(self) -> dict[TopicPartition, int]:
        """The offsets behind the last records handled here, committed or not yet."""
        return {partition: lane.done for partition, lane in self._lanes.items() if lane.done is not None}

    async def take(self, record: Any) -> None:
        """Queue a record just fetched. Never waits for a handler, never raises."""
        partition = TopicPartition(record.topic, record.partition)
        lane = self._lanes.get(partition)
        if lane is None or self._closing or self._consumer is None:
            return
        if not lane.taken:
            # A record fetched before the partition was given away and back is fetched again.
            try:
                if await self._consumer.position(partition) <= record.offset:
                    return
            except (KafkaError, IllegalStateError):
                return
            lane.taken = True
        lane.waiting.append(record)
        if not lane.paused and len(lane.waiting) >= _HIGH:
            lane.paused = True
            self._consumer.pause(partition)
        if not lane.running:
            lane.running = True
            lane.task = asyncio.create_task(self._drain(partition, lane))

    async def close(self, grace: float) -> None:
        """Let the handlers under way finish, and commit. What waits is delivered after the next start."""
        self._closing = True
        await self._finish(self._lanes, grace)
        if self._committer is not None:
            self._committer.cancel()
            await asyncio.gather(self._committer, return_exceptions=True)
        await self._commit()
        self._lanes.clear()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        for partition in assigned:
            self._lanes[partition] = _Lane()
        self._assigned.set()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._assigned.clear()
        leaving = {partition: self._lanes[partition] for partition in revoked if partition in self._lanes}
        await self._finish(leaving, _REVOKE_GRACE)
        await self._commit()
        for partition in leaving:
            del self._lanes[partition]

    async def _finish(self, lanes: dict[TopicPartition, _Lane], grace: float) -> None:
        for lane in lanes.values():
            lane.waiting.clear()
        tasks = [lane.task for lane in lanes.values() if lane.running and lane.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _drain(self, partition: TopicPartition, lane: _Lane) -> None:
        try:
            while lane.waiting:
                record = lane.waiting.popleft()
                async with self._limit:
                    if not await self._surely(record):
                        lane.waiting.clear()
                        return
                lane.done = record.offset + 1
                if lane.paused and len(lane.waiting) <= _HIGH // 2 and self._lanes.get(partition) is lane:
                    lane.paused = False
                    self._resume(partition)
        finally:
            lane.running = False

    async def _surely(self, record: Any) -> bool:
        """A record is never passed over: what the work did not expect is tried again."""
        while True:
            try:
                return await self._work(record)
            except Exception:  # noqa: BLE001 - the edge: a partition that ended would say nothing
                _log.exception("%s could not settle an event of %s", self._group, record.topic)
                if self._closing:
                    return False
                await asyncio.sleep(_AGAIN_S)

    def _resume(self, partition: TopicPartition) -> None:
        try:
            if self._consumer is not None:
                self._consumer.resume(partition)
        except IllegalStateError:
            _log.debug("%s no longer has %s", self._group, partition)

    async def _keep_committing(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_EVERY)
            await self._commit()

    async def _commit(self) -> None:
        """Write down how far each partition is. What fails here is tried again, or handled twice."""
        ahead = {p: lane for p, lane in self._lanes.items() if lane.done not in (None, lane.committed)}
        if not ahead or self._consumer is None:
            return
        offsets = {partition: lane.done for partition, lane in ahead.items()}
        try:
            async with asyncio.timeout(_COMMIT_S):
                await self._consumer.commit(offsets)
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            _log.warning("%s could not write down how far it is: %s", self._group, type(error).__name__)
            return
        for partition, lane in ahead.items():
            lane.committed = offsets[partition]
