"""Tasks: work that is slow, external or later, as documents claimed by an optimistic save.

A task is any document derived from TaskDoc. It runs when `due_at` has come and nobody holds its
lease. The runner claims it (one save), keeps the lease alive while the handler works, and the
handler ends in its own save that clears or moves `due_at`. A process that dies leaves a lease
that runs out; another claims it again. So a handler may run twice and must bear it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from kit.clock import Clock
from kit.documents.port import Collection, Doc, Documents, Instant, Range, Where
from kit.errors import NoSpace, PermanentError, TransientError, VersionConflict

_log = logging.getLogger(__name__)


class TaskDoc(Doc):
    """`due_at` None: nothing to do. Collections of tasks declare due_at among their fields."""

    due_at: Instant | None = None
    lease_until: Instant | None = None
    lease_owner: str = ""
    attempts: int = 0
    last_error: str = ""


T = TypeVar("T", bound=TaskDoc)

BACKOFF: tuple[timedelta, ...] = tuple(timedelta(seconds=s) for s in (2, 5, 15, 60, 300, 900, 3600))
"""Delay before try 2, 3, …; the last one repeats."""

REST = timedelta(seconds=5)
REST_AFTER_CONFLICT = timedelta(seconds=0.5)


class TaskRunner(Generic[T]):
    """Runs the due tasks of one collection, up to `concurrency` at once.

    `work(task)` does the work and saves. TransientError puts the task back with backoff.
    PermanentError, a defect, or a TransientError after `max_attempts` calls
    `give_up(task, reason)`, which saves the task as failed (due_at None) with its events.
    `owner` is this process; with `exclusive` (embedded: the only process) leases of earlier
    owners count for nothing, so that a restart goes on at once. `where` narrows the runner to a
    part of the collection: several runners then share it, and one that is stuck stops no other.
    """

    def __init__(  # noqa: PLR0913 - each is a choice the service must make
        self,
        documents: Documents,
        collection: Collection[T],
        *,
        work: Callable[[T], Awaitable[None]],
        give_up: Callable[[T, str], Awaitable[None]],
        clock: Clock,
        owner: str,
        exclusive: bool = False,
        concurrency: int = 4,
        lease: timedelta = timedelta(seconds=60),
        backoff: Sequence[timedelta] = BACKOFF,
        max_attempts: int = 12,
        where: Where | None = None,
    ) -> None:
        self._documents = documents
        self._collection = collection
        self._work = work
        self._give_up = give_up
        self._clock = clock
        self._owner = owner
        self._exclusive = exclusive
        self._concurrency = concurrency
        self._lease = lease
        self._backoff = backoff
        self._max_attempts = max_attempts
        self._where = dict(where or {})
        self._wake = asyncio.Event()
        self._loop_task: asyncio.Task[None] | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._resting: dict[str, datetime] = {}
        """Tasks whose outcome could not be saved, and when they are looked at again."""
        self._stopping = False

    async def start(self) -> None:
        self._loop_task = asyncio.create_task(self._run(), name=f"tasks:{self._collection.name}")

    def poke(self) -> None:
        """Look for due tasks now: call it after saving one."""
        self._wake.set()

    async def stop(self) -> None:
        """Let running tasks finish for up to 10 s, then cancel them; their leases are left to expire."""
        self._stopping = True
        self._wake.set()
        if self._loop_task is not None:
            await self._loop_task
        if self._running:
            _, late = await asyncio.wait(self._running.values(), timeout=10)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                wait = await self._claim_due()
            except TransientError as error:
                _log.warning("tasks of %s: %s", self._collection.name, error)
                wait = 5.0
            try:
                await asyncio.wait_for(self._wake.wait(), timeout=wait)
            except TimeoutError:
                continue

    async def _claim_due(self) -> float:
        """Start what is due and free; returns seconds until it is worth looking again."""
        now = self._clock()
        free = self._concurrency - len(self._running)
        if free <= 0:
            return 30.0
        page = await self._documents.find(
            self._collection,
            {**self._where, "due_at": Range(high=now + timedelta(hours=1))},
            order="due_at",
            limit=free + len(self._running) + 16,
        )
        wait = 30.0
        for task in page.items:
            if task.id in self._running:
                continue
            ready_at = self._ready_at(task)
            if ready_at > now:
                wait = min(wait, (ready_at - now).total_seconds())
            elif free > 0:
                free -= 1
                self._running[task.id] = asyncio.create_task(self._claim_and_work(task))
            else:
                return 30.0
        return max(wait, 0.02)

    def _ready_at(self, task: T) -> datetime:
        due = task.due_at or self._clock()
        rest = self._resting.get(task.id)
        if rest is not None:
            due = max(due, rest)
        stale = self._exclusive and (task.lease_owner != self._owner or rest is not None)
        return due if task.lease_until is None or stale else max(due, task.lease_until)

    async def _claim_and_work(self, task: T) -> None:
        """What could not be saved is done again after a rest: with a full disk, neither in a hot loop nor
        only when a long lease has run out."""
        self._resting.pop(task.id, None)
        rest: timedelta | None = REST
        try:
            task.lease_until = self._clock() + self._lease
            task.lease_owner = self._owner
            task.attempts += 1
            await self._documents.save(self._collection, task)
            await self._work_and_settle(task)
            rest = None
        except VersionConflict:
            rest = REST_AFTER_CONFLICT
            _log.info("task %s of %s was taken or changed elsewhere", task.id, self._collection.name)
        except (TransientError, NoSpace) as error:
            _log.warning("task %s of %s: %s", task.id, self._collection.name, error)
        except Exception:  # noqa: BLE001 - the edge: giving up met a defect, which must not pass unseen
            _log.exception("task %s of %s could not be settled", task.id, self._collection.name)
        finally:
            if rest is not None:
                self._resting[task.id] = self._clock() + rest
            del self._running[task.id]
            self._wake.set()

    async def _work_and_settle(self, task: T) -> None:
        work = asyncio.ensure_future(self._work(task))
        try:
            await self._keep_lease_while(work, task)
        except (TransientError, NoSpace) as error:
            if task.attempts >= self._max_attempts:
                await self._fail(task, str(error))
            else:
                await self._put_back(task, str(error))
        except PermanentError as error:
            await self._fail(task, str(error))
        except VersionConflict:
            raise
        except Exception as error:  # noqa: BLE001 - the edge: a defect must not end the runner
            _log.exception("task %s of %s met a defect", task.id, self._collection.name)
            if task.attempts >= 3:
                await self._fail(task, f"internal error ({type(error).__name__})")
            else:
                await self._put_back(task, f"internal error ({type(error).__name__})")

    async def _keep_lease_while(self, work: "asyncio.Future[None]", task: T) -> None:
        """The lease is renewed only by tasks that save; a long silent handler gets a long lease.

        Handlers that work longer than the lease save their progress with `extend`.
        """
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            raise

    def extend(self, task: T) -> None:
        """Set a fresh lease on the task; the handler's next save carries it."""
        task.lease_until = self._clock() + self._lease

    async def _put_back(self, task: T, reason: str) -> None:
        fresh = await self._documents.get(self._collection, task.id)
        if fresh is None or fresh.due_at is None:
            return
        fresh.due_at = self._clock() + self._backoff[min(fresh.attempts - 1, len(self._backoff) - 1)]
        fresh.lease_until = None
        fresh.last_error = reason[:500]
        await self._documents.save(self._collection, fresh)

    async def _fail(self, task: T, reason: str) -> None:
        fresh = await self._documents.get(self._collection, task.id)
        if fresh is not None and fresh.due_at is not None:
            fresh.last_error = reason[:500]
            await self._give_up(fresh, reason)
