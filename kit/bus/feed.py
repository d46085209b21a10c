"""One group's way through one topic: reads the log, keeps order within partitions, tracks what is done."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from kit.bus.log import ALL_PARTITIONS, partition_of
from kit.bus.port import Handler
from kit.bus.tries import handle
from kit.errors import TransientError
from schemas.envelope import Event

_log = logging.getLogger(__name__)

BACKLOG = 1000
"""Events held in memory per feed; the rest waits in the log."""

UNREADABLE_S = 5.0

Bury = Callable[["Feed", Event, str, int], Awaitable[None]]
Fetch = Callable[[str, int, int], Awaitable[Sequence[tuple[int, Event]]]]


@dataclass
class _Partition:
    waiting: deque[tuple[int, Event]] = field(default_factory=deque)
    busy: bool = False


class Feed:
    """`position` is the last event taken from the log; `low_water` the last with none open before it."""

    def __init__(
        self,
        topic: str,
        group: str,
        handler: Handler[Event],
        *,
        fetch: Fetch,
        bury: Bury,
        concurrency: int = 32,
    ) -> None:
        self.topic = topic
        self.group = group
        self._handler = handler
        self._fetch = fetch
        self._bury = bury
        self._limit = asyncio.Semaphore(concurrency)
        self._partitions: dict[int, _Partition] = {}
        self._done: dict[int, int] = {}
        self._open: dict[int, None] = {}
        self._position = 0
        self._flushed: dict[int, int] = {}
        self._wake = asyncio.Event()
        self._behind = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    def load(self, offsets: dict[int, int]) -> None:
        self._position = offsets.get(ALL_PARTITIONS, 0)
        self._done = {p: seq for p, seq in offsets.items() if p != ALL_PARTITIONS}
        self._flushed = dict(offsets)

    def start(self) -> None:
        self._spawn(self._read_log())

    async def stop(self, grace: float) -> None:
        """Let the handlers under way finish; what they did not reach is delivered after the next start."""
        self._stopping = True
        self._wake.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def offer(self, appended: Sequence[tuple[int, Event]]) -> None:
        """Events just committed, in log order. Taken directly when this feed is at the log's end."""
        for seq, event in appended:
            if event.topic != self.topic:
                continue
            if self._behind or len(self._open) >= BACKLOG:
                self._behind = True
                self._wake.set()
                return
            self._take(seq, event)

    def pending(self) -> int:
        return len(self._open)

    @property
    def position(self) -> int:
        return self._position

    @property
    def low_water(self) -> int:
        return next(iter(self._open)) - 1 if self._open else self._position

    def unflushed(self) -> list[tuple[int, int]]:
        """(partition, seq) rows that changed since the last call."""
        low = self.low_water
        self._done = {p: seq for p, seq in self._done.items() if seq > low}
        now = {**self._done, ALL_PARTITIONS: low}
        changed = [(p, seq) for p, seq in now.items() if self._flushed.get(p) != seq]
        self._flushed.update(changed)
        return changed

    def redeliver(self, event: Event, settled: Callable[[bool, str], Awaitable[None]]) -> None:
        """Handle one event outside the log's order (a replayed dead letter)."""
        self._spawn(self._replay(event, settled))

    async def _replay(self, event: Event, settled: Callable[[bool, str], Awaitable[None]]) -> None:
        reason, _ = await self._handle(event)
        if not self._stopping:
            await settled(reason is None, reason or "")

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_log(self) -> None:
        while not self._stopping:
            self._wake.clear()
            if len(self._open) < BACKLOG:
                try:
                    rows = await self._fetch(self.topic, self._position, BACKLOG - len(self._open))
                except TransientError as error:
                    _log.warning("%s of %s: %s", self.group, self.topic, error)
                    await asyncio.sleep(1)
                    continue
                except Exception:  # noqa: BLE001 - the edge: a feed that ended would say nothing
                    # An event that can't be read (of a newer version, perhaps) must not be passed over:
                    # the lag grows, and this line repeats.
                    _log.exception("%s can't read the log of %s", self.group, self.topic)
                    await asyncio.sleep(UNREADABLE_S)
                    continue
                for seq, event in rows:
                    self._take(seq, event)
                if rows:
                    continue
                if not self._wake.is_set():
                    # nothing was committed while we looked: from here on offers are complete
                    self._behind = False
            await self._wake.wait()

    def _take(self, seq: int, event: Event) -> None:
        if seq <= self._position:
            return
        self._position = seq
        number = partition_of(event.topic, event.key)
        if seq <= self._done.get(number, 0):
            return
        self._open[seq] = None
        partition = self._partitions.setdefault(number, _Partition())
        partition.waiting.append((seq, event))
        if not partition.busy:
            partition.busy = True
            self._spawn(self._drain(number, partition))

    async def _drain(self, number: int, partition: _Partition) -> None:
        while partition.waiting and not self._stopping:
            seq, event = partition.waiting.popleft()
            async with self._limit:
                reason, attempts = await self._handle(event)
            if reason is not None:
                if self._stopping:
                    return
                await self._bury(self, event, reason, attempts)
            self._done[number] = seq
            del self._open[seq]
            if self._behind and len(self._open) < BACKLOG // 2:
                self._wake.set()
        partition.busy = False
        if not partition.waiting:
            self._partitions.pop(number, None)

    async def _handle(self, event: Event) -> tuple[str | None, int]:
        return await handle(self._handler, event, self.group, lambda: self._stopping)
