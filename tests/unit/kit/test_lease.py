"""A task is one process's for as long as that process works on it, and no longer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from kit import tasks
from kit.documents.port import Collection
from kit.errors import NoSpace, TransientError, Unavailable
from kit.service import Kit
from kit.tasks import TaskDoc, TaskRunner

SHORT = timedelta(seconds=0.3)
STEADY = timedelta(seconds=1.5)
"""Outlives a moment in which the machine has no time for us."""


class Errand(TaskDoc):
    result: str = ""


ERRANDS = Collection("errands", Errand, fields=("due_at",))


class Link:
    """One process's way to the documents, which can break for renewals."""

    def __init__(self, kit: Kit) -> None:
        self._documents = kit.documents
        self.renew: Callable[..., Any] = kit.documents.renew

    def __getattr__(self, name: str) -> Any:
        return getattr(self._documents, name)


class Worker:
    """A process with a runner. Its work ends when `go` is set, or raises `trouble`."""

    def __init__(self, kit: Kit, name: str, **options: Any) -> None:
        self.name = name
        self.kit = kit
        self.link = Link(kit)
        self.began, self.go = asyncio.Event(), asyncio.Event()
        self.calls = self.cancelled = 0
        self.trouble: Exception | None = None
        self.outcome: BaseException | None = None
        self.runner = TaskRunner(
            self.link,  # type: ignore[arg-type]
            ERRANDS,
            work=self.work,
            give_up=self.give_up,
            clock=kit.clock,
            owner=name,
            backoff=[timedelta(seconds=0.01)],
            **{"lease": SHORT, "exclusive": False, **options},
        )

    async def work(self, task: Errand) -> None:
        self.calls += 1
        self.began.set()
        try:
            await self.go.wait()
            if self.trouble is not None:
                raise self.trouble
            task.due_at, task.lease_until, task.result = None, None, self.name
            await self.kit.documents.save(ERRANDS, task)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        except Exception as error:
            self.outcome = error
            raise

    async def give_up(self, task: Errand, reason: str) -> None:
        task.due_at, task.result = None, f"{self.name} gave up: {reason}"
        await self.kit.documents.save(ERRANDS, task)


@pytest.fixture
async def start(kit_env: Kit) -> AsyncIterator[Callable[..., Any]]:
    workers: list[Worker] = []

    async def started(name: str, **options: Any) -> Worker:
        worker = Worker(kit_env, name, **options)
        workers.append(worker)
        await worker.runner.start()
        return worker

    yield started
    for worker in workers:
        worker.go.set()
        await worker.runner.stop()


async def add(kit: Kit, name: str = "a", **fields: Any) -> None:
    await kit.documents.save(ERRANDS, Errand(id=name, due_at=kit.clock(), **fields))


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while True:
            met = condition()
            if await met if asyncio.iscoroutine(met) else met:
                return
            await asyncio.sleep(0.01)


async def stored(kit: Kit, name: str = "a") -> Errand:
    task = await kit.documents.get(ERRANDS, name)
    assert task is not None
    return task


async def test_silent_work_outlives_many_leases_and_no_other_process_takes_it(
    kit_env: Kit, start: Callable[..., Any]
) -> None:
    await add(kit_env)
    first = await start("first", lease=STEADY)
    await first.began.wait()
    other = await start("other")
    claimed = await stored(kit_env)
    assert claimed.lease_until is not None
    much_later = claimed.lease_until + 2 * STEADY

    async def renewed() -> bool:
        lease = (await stored(kit_env)).lease_until
        return lease is not None and lease > much_later

    await until(renewed)
    assert (await stored(kit_env)).version == claimed.version
    first.go.set()
    await until(lambda: _result(kit_env))
    assert (await stored(kit_env)).result == "first"
    assert (first.calls, other.calls) == (1, 0)


async def test_without_the_store_work_ends_with_its_lease_and_another_process_does_it(
    kit_env: Kit, start: Callable[..., Any]
) -> None:
    async def away(*_: Any) -> bool:
        raise Unavailable("document store", "away")

    await add(kit_env)
    first = await start("first")
    first.link.renew = away
    await first.began.wait()
    other = await start("other")
    other.go.set()
    await until(lambda: _result(kit_env))
    assert (await stored(kit_env)).result == "other"
    await until(lambda: first.cancelled == 1)


async def test_the_only_process_goes_on_with_what_it_can_not_renew(
    kit_env: Kit, start: Callable[..., Any]
) -> None:
    tries = 0

    async def full(*_: Any) -> bool:
        nonlocal tries
        tries += 1
        raise NoSpace("The storage is full.")

    await add(kit_env)
    only = await start("only", exclusive=True)
    only.link.renew = full
    await only.began.wait()
    await until(lambda: tries >= 8)
    only.go.set()
    await until(lambda: _result(kit_env))
    assert (only.calls, only.cancelled) == (1, 0)


async def test_work_does_not_go_on_when_its_lease_is_looked_after_no_more(
    kit_env: Kit, start: Callable[..., Any]
) -> None:
    async def defect(*_: Any) -> bool:
        raise ValueError("of another version")

    await add(kit_env)
    first = await start("first", max_attempts=1)
    first.link.renew = defect
    await until(lambda: first.cancelled == 1)


async def test_without_an_answer_of_the_store_too(kit_env: Kit, start: Callable[..., Any]) -> None:
    async def silent(*_: Any) -> bool:
        await asyncio.Event().wait()
        return True

    await add(kit_env)
    first = await start("first")
    first.link.renew = silent
    await first.began.wait()
    await until(lambda: first.cancelled >= 1)


@pytest.mark.parametrize("trouble", [None, TransientError("away"), KeyError("defect")])
async def test_a_process_that_stood_still_saves_nothing_and_leaves_the_new_owner_alone(
    kit_env: Kit, start: Callable[..., Any], trouble: Exception | None
) -> None:
    async def believed(*_: Any) -> bool:
        return True

    await add(kit_env)
    first = await start("first", max_attempts=1)
    first.link.renew, first.trouble = believed, trouble
    await first.began.wait()
    other = await start("other", lease=STEADY)
    await other.began.wait()
    claimed = await stored(kit_env)
    assert claimed.lease_owner == "other"
    first.go.set()
    await until(lambda: not first.runner._running)
    now = await stored(kit_env)
    assert (now.version, now.lease_owner, now.result) == (claimed.version, "other", "")
    other.go.set()
    await until(lambda: _result(kit_env))
    assert (await stored(kit_env)).result == "other"
    assert first.outcome is not None


async def test_a_process_that_hears_that_its_lease_was_taken_stops(
    kit_env: Kit, start: Callable[..., Any]
) -> None:
    await add(kit_env)
    first = await start("first")
    await first.began.wait()
    task = await stored(kit_env)
    task.lease_owner, task.lease_until = "another", kit_env.clock() + timedelta(hours=1)
    await kit_env.documents.save(ERRANDS, task)
    await until(lambda: first.cancelled == 1)
    assert (await stored(kit_env)).lease_owner == "another"


async def test_work_that_hangs_is_ended_and_tried_again(kit_env: Kit, start: Callable[..., Any]) -> None:
    await add(kit_env)
    worker = await start("worker", longest=timedelta(seconds=0.5), max_attempts=2)
    await until(lambda: _result(kit_env))
    assert (await stored(kit_env)).result.startswith("worker gave up: it was not done within")
    assert (worker.calls, worker.cancelled) == (2, 2)


async def test_work_that_gave_its_lease_back_may_still_end_in_peace(
    kit_env: Kit, start: Callable[..., Any]
) -> None:
    await add(kit_env)
    worker = await start("worker", lease=STEADY)
    renewals: list[datetime] = []
    renew = worker.link.renew

    async def counting(*given: Any) -> bool:
        renewals.append(given[-1])
        return bool(await renew(*given))

    worker.link.renew = counting

    async def tidy(task: Errand) -> None:
        task.due_at, task.lease_until, task.result = None, None, "done"
        await kit_env.documents.save(ERRANDS, task)
        try:
            await until(lambda: len(renewals) >= 6)
        except asyncio.CancelledError:
            worker.cancelled += 1
            raise

    worker.runner._work = tidy
    await until(lambda: len(renewals) >= 6)
    await until(lambda: not worker.runner._running)
    assert worker.cancelled == 0


async def test_a_process_that_is_told_to_stop_gives_its_tasks_to_others_at_once(
    kit_env: Kit, start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "GRACE_S", 0.05)
    await add(kit_env)
    first = await start("first", lease=timedelta(hours=1))
    await first.began.wait()
    await first.runner.stop()
    assert first.cancelled == 1
    left = await stored(kit_env)
    assert (left.lease_until, left.attempts) == (None, 0)
    other = await start("other")
    other.go.set()
    await until(lambda: _result(kit_env))


async def test_work_is_found_behind_all_that_other_processes_hold(
    kit_env: Kit, start: Callable[..., Any]
) -> None:
    held = {"lease_owner": "elsewhere", "lease_until": kit_env.clock() + timedelta(hours=1)}
    early = kit_env.clock() - timedelta(minutes=1)
    errands = [Errand(id=f"held-{n:04}", due_at=early, **held) for n in range(700)]
    await kit_env.documents.insert_many(ERRANDS, errands)
    await add(kit_env)
    worker = await start("worker", lease=timedelta(minutes=1))
    worker.go.set()
    await until(lambda: _result(kit_env))


async def _result(kit: Kit) -> str:
    return (await stored(kit)).result
