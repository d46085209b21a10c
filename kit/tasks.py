"""Tasks: work that is slow, external or later, as documents claimed by an optimistic save.

A task is any document derived from TaskDoc. It runs when `due_at` has come and nobody holds its
lease. The runner claims it (one save), keeps the lease alive while the handler works (kit.lease), and
the handler ends in its own save that clears or moves `due_at`. A process that dies leaves a lease
that runs out; another claims it again. So a handler may run twice and must bear it.
"""

import asyncio
import contextvars
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from kit.acts import Act, service_of
from kit.clock import Clock
from kit.documents.port import Collection, Doc, Documents, Instant, Range, Where
from kit.errors import AnteroomError, PermanentError, TransientError, VersionConflict
from kit.lease import Lease, LeaseLost
from kit.saying import say
from schemas.shapes import Said

_log = logging.getLogger(__name__)


class TaskDoc(Doc):
    """`due_at` None: nothing to do. Collections of tasks declare due_at among their fields."""

    due_at: Instant | None = None
    lease_until: Instant | None = None
    lease_owner: str = ""
    attempts: int = 0
    last_error: str = ""
    last_said: Said | None = None
    """The same, for readers of any language; read `trouble`."""

    @property
    def trouble(self) -> Said | None:
        """What went wrong last; what an earlier version noted of it is in its own words alone."""
        if not self.last_error:
            return None
        said = self.last_said
        return said if said and said.text.startswith(self.last_error) else Said(text=self.last_error)

    def goes_back_to(self) -> tuple[str, str]:
        """The correlation id of what it is done for, and the id of the event that led to it; empty where
        that is not known."""
        return "", ""


T = TypeVar("T", bound=TaskDoc)

BACKOFF: tuple[timedelta, ...] = tuple(timedelta(seconds=s) for s in (2, 5, 15, 60, 300, 900, 3600))
"""Delay before try 2, 3, …; the last one repeats."""

LEASE = timedelta(seconds=60)
"""How long a task of a process that died waits for another. Renewed three times within that."""
LONGEST = timedelta(hours=2)
"""Work that takes longer hangs."""

REST = timedelta(seconds=5)
REST_AFTER_CONFLICT = timedelta(seconds=0.5)

GRACE_S = 10.0
"""How long a process that is told to stop waits for its tasks."""

_GIVE_BACK_S = 3.0
_LOOKED_AT_MOST = 4000
_BEYOND = 16


class TaskRunner(Generic[T]):
    """Runs the due tasks of one collection, up to `concurrency` at once.

    `work(task)` does the work and saves, for as long as it takes: its lease is renewed, up to `longest`.
    It is cancelled when the lease is lost all the same. TransientError puts the task back with backoff.
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
        lease: timedelta = LEASE,
        longest: timedelta = LONGEST,
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
        self._longest = longest
        self._backoff = backoff
        self._max_attempts = max_attempts
        self._where = dict(where or {})
        self._wake = asyncio.Event()
        self._loop_task: asyncio.Task[None] | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._beyond = _BEYOND
        """How many tasks more than it can do a runner chooses among: the more often others were quicker, the
        more, so that many processes rarely want the same."""
        self._resting: dict[str, datetime] = {}
        """Tasks whose outcome could not be saved, and when they are looked at again. Forgotten when their
        lease has run out anyway: others may have done them."""
        self._stopping = False

    async def start(self) -> None:
        # Whoever starts it (a handler, perhaps) is not what its tasks go back to.
        name, context = f"tasks:{self._collection.name}", contextvars.Context()
        self._loop_task = asyncio.create_task(self._run(), name=name, context=context)

    def poke(self) -> None:
        """Look for due tasks now: call it after saving one."""
        self._wake.set()

    async def stop(self) -> None:
        """Let running tasks finish for a while, then cancel them and give them to other processes."""
        self._stopping = True
        self._wake.set()
        if self._loop_task is not None:
            await self._loop_task
        if self._running:
            _, late = await asyncio.wait(self._running.values(), timeout=GRACE_S)
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
                wait = REST.total_seconds()
            except Exception:  # noqa: BLE001 - the edge: a loop that ended would say nothing
                _log.exception("looking for tasks of %s met a defect", self._collection.name)
                wait = REST.total_seconds()
            try:
                await asyncio.wait_for(self._wake.wait(), timeout=wait)
            except TimeoutError:
                continue

    async def _claim_due(self) -> float:
        """Start what is due and free; returns seconds until it is worth looking again."""
        now = self._clock()
        self._resting = {name: at for name, at in self._resting.items() if at > now - self._lease}
        free = self._concurrency - len(self._running)
        if free <= 0:
            return 30.0
        ready, next_at = await self._look(free, now)
        for task_id in self._chosen(ready, free):
            self._running[task_id] = asyncio.create_task(self._claim_and_work(task_id))
        if len(ready) > free:
            return 30.0
        wait = 30.0 if next_at is None else min(30.0, (next_at - now).total_seconds())
        return max(wait, 0.02)

    async def _look(self, wanted: int, now: datetime) -> tuple[list[str], datetime | None]:
        """The ids of tasks to claim now, most overdue first, and when the next one will be ready.

        Others may hold the most overdue ones: then it looks further, so that many processes find work.
        """
        limit = self._concurrency + self._beyond
        while True:
            rows = await self._documents.project(
                self._collection,
                ["due_at", "lease_until", "lease_owner"],
                {**self._where, "due_at": Range(high=now + timedelta(hours=1))},
                order="due_at",
                limit=limit,
            )
            times = {row["id"]: self._ready_at(row) for row in rows if row["id"] not in self._running}
            ready = [task_id for task_id, time in times.items() if time <= now]
            if len(ready) >= wanted or len(rows) < limit or limit >= _LOOKED_AT_MOST:
                return ready, min((time for time in times.values() if time > now), default=None)
            limit *= 6

    def _chosen(self, ready: list[str], free: int) -> list[str]:
        """Alone, in order of time. Among others by chance, so that they rarely want the same."""
        return ready[:free] if self._exclusive else random.sample(ready, min(free, len(ready)))

    def _ready_at(self, row: dict[str, Any]) -> datetime:
        due = datetime.fromisoformat(row["due_at"])
        rest = self._resting.get(row["id"])
        if rest is not None:
            due = max(due, rest)
        stale = self._exclusive and (row["lease_owner"] != self._owner or rest is not None)
        held = row["lease_until"]
        return due if held is None or stale else max(due, datetime.fromisoformat(held))

    async def _claim_and_work(self, task_id: str) -> None:
        """What could not be saved is done again after a rest: with a full disk, neither in a hot loop nor
        only when a lease has run out."""
        resting = self._resting.pop(task_id, None) is not None
        rest: timedelta | None = REST
        try:
            with Act("task", service_of(self._collection.model.__module__), self._collection.name) as act:
                rest = await self._act(task_id, resting, act)
        except asyncio.CancelledError:
            await self._give_back(task_id)
            raise
        finally:
            if rest is not None:
                self._resting[task_id] = self._clock() + rest
            del self._running[task_id]
            self._wake.set()

    async def _act(self, task_id: str, resting: bool, act: Act) -> timedelta | None:
        """Returns how long the task rests; None: as long as it says itself."""
        try:
            task = await self._claimed(task_id, resting)
            if task is None:
                self._widen()
                act.outcome = "void"
            else:
                self._beyond = max(_BEYOND, self._beyond * 7 // 8)
                act.follow(*task.goes_back_to())
                act.details["attempt"] = task.attempts
                await self._work_and_settle(task, act)
            return None
        except (VersionConflict, LeaseLost):
            self._widen()
            act.outcome = "void"
            _log.info("task %s of %s was taken or changed elsewhere", task_id, self._collection.name)
            return REST_AFTER_CONFLICT
        except TransientError as error:
            act.failed(error)
            _log.warning("task %s of %s: %s", task_id, self._collection.name, error)
        except Exception as error:  # noqa: BLE001 - the edge: giving up met a defect, which must not pass unseen
            act.failed(error)
            _log.exception("task %s of %s could not be settled", task_id, self._collection.name)
        return REST

    def _widen(self) -> None:
        self._beyond = min(2 * self._beyond, _LOOKED_AT_MOST)

    async def _give_back(self, task_id: str) -> None:
        """For another process to take at once. When that fails, the lease runs out."""
        with suppress(AnteroomError, TimeoutError):
            async with asyncio.timeout(_GIVE_BACK_S):
                task = await self._documents.get(self._collection, task_id)
                if task is not None and task.due_at is not None and task.lease_owner == self._owner:
                    task.lease_until = None
                    task.attempts = max(0, task.attempts - 1)
                    await self._documents.save(self._collection, task)

    async def _claimed(self, task_id: str, resting: bool) -> T | None:
        """The task with our lease on it; None when it is no longer to be had."""
        task = await self._documents.get(self._collection, task_id)
        now = self._clock()
        if task is None or task.due_at is None or task.due_at > now:
            return None
        stale = self._exclusive and (task.lease_owner != self._owner or resting)
        if task.lease_until is not None and task.lease_until > now and not stale:
            return None
        task.lease_until = now + self._lease
        task.lease_owner = self._owner
        task.attempts += 1
        return await self._documents.save(self._collection, task)

    async def _work_and_settle(self, task: T, act: Act) -> None:
        work = asyncio.ensure_future(self._work(task))
        until = task.lease_until or self._clock()
        lease = Lease(
            self._documents,
            self._collection,
            task,
            self._owner,
            self._clock,
            self._lease,
            until,
            self._exclusive,
        )
        try:
            await lease.keep_while(work, self._longest)
        except TransientError as error:
            act.failed(error)
            if task.attempts >= self._max_attempts:
                await self._fail(task, error.said)
            else:
                await self._put_back(task, error.said)
        except PermanentError as error:
            act.failed(error)
            await self._fail(task, error.said)
        except (VersionConflict, LeaseLost):
            raise
        except Exception as error:  # noqa: BLE001 - the edge: a defect must not end the runner
            act.failed(error)
            _log.exception("task %s of %s met a defect", task.id, self._collection.name)
            said = say("internal", "internal error (%(name)s)", name=type(error).__name__)
            await (self._fail if task.attempts >= 3 else self._put_back)(task, said)

    async def _put_back(self, task: T, reason: Said) -> None:
        fresh = await self._still_held(task)
        if fresh is None:
            return
        fresh.due_at = self._clock() + self._backoff[min(fresh.attempts - 1, len(self._backoff) - 1)]
        fresh.lease_until = None
        fresh.last_error, fresh.last_said = reason.text[:500], reason
        await self._documents.save(self._collection, fresh)
        _log.info("task %s of %s is tried again later: %s", task.id, self._collection.name, reason)

    async def _fail(self, task: T, reason: Said) -> None:
        fresh = await self._still_held(task)
        if fresh is not None:
            fresh.last_error, fresh.last_said = reason.text[:500], reason
            _log.warning("task %s of %s is given up: %s", task.id, self._collection.name, reason)
            await self._give_up(fresh, reason.text)

    async def _still_held(self, task: T) -> T | None:
        """The task as it is now; None when nothing is due any more. Raises LeaseLost: another process has
        claimed it, and the trouble we had is not its trouble."""
        fresh = await self._documents.get(self._collection, task.id)
        if fresh is None or fresh.due_at is None:
            return None
        if fresh.lease_owner != self._owner:
            raise LeaseLost(f"the lease of a task of {self._collection.name}")
        return fresh
