"""Tasks run when due, once at a time, come back after trouble, and end with a reason."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from kit import tasks
from kit.documents.port import Collection
from kit.errors import NoSpace, PermanentError, TransientError, VersionConflict
from kit.service import Kit
from kit.tasks import TaskDoc, TaskRunner


class Chore(TaskDoc):
    result: str = ""


CHORES = Collection("chores", Chore, fields=("due_at",))


class Board:
    """A runner with its doings written down."""

    def __init__(self, kit: Kit, **options) -> None:
        self.kit = kit
        self.calls: list[str] = []
        self.failures: list[BaseException] = []
        self.runner = TaskRunner(
            kit.documents,
            CHORES,
            work=self.work,
            give_up=self.give_up,
            clock=kit.clock,
            backoff=[timedelta(milliseconds=5)],
            **{"owner": "me", "exclusive": True, **options},
        )

    async def work(self, task: Chore) -> None:
        self.calls.append(task.id)
        if self.failures:
            raise self.failures.pop(0)
        task.due_at = None
        task.result = "done"
        await self.kit.documents.save(CHORES, task)

    async def give_up(self, task: Chore, reason: str) -> None:
        task.due_at = None
        task.result = f"gave up: {reason}"
        await self.kit.documents.save(CHORES, task)

    async def add(self, name: str, **fields) -> None:
        due = fields.pop("due_at", self.kit.clock())
        await self.kit.documents.save(CHORES, Chore(id=name, due_at=due, **fields))
        self.runner.poke()

    async def result(self, name: str) -> Chore:
        async with asyncio.timeout(10):
            while True:
                task = await self.kit.documents.get(CHORES, name)
                if task is not None and task.result:
                    return task
                await asyncio.sleep(0.005)


@pytest.fixture
async def make(kit_env: Kit):
    boards: list[Board] = []

    async def start(**options) -> Board:
        board = Board(kit_env, **options)
        boards.append(board)
        await board.runner.start()
        return board

    yield start
    for board in boards:
        await board.runner.stop()


async def test_a_due_task_runs_once(make: Callable) -> None:
    board = await make()
    await board.add("a")
    assert (await board.result("a")).result == "done"
    await asyncio.sleep(0.05)
    assert board.calls == ["a"]


async def test_a_later_task_waits_for_its_time(make: Callable) -> None:
    board = await make()
    await board.add("later", due_at=board.kit.clock() + timedelta(seconds=0.2))
    await asyncio.sleep(0.05)
    assert board.calls == []
    assert (await board.result("later")).result == "done"


async def test_a_transient_error_brings_it_back_with_its_reason(make: Callable) -> None:
    board = await make()
    board.failures = [TransientError("the PACS is away"), TransientError("the PACS is away")]
    await board.add("a")
    task = await board.result("a")
    assert (task.result, task.attempts, len(board.calls)) == ("done", 3, 3)


@pytest.mark.parametrize(
    ("failures", "said", "calls"),
    [
        ([PermanentError("no such place")], "gave up: no such place", 1),
        ([TransientError("away")] * 4, "gave up: away", 4),
        ([KeyError("x")] * 3, "gave up: internal error (KeyError)", 3),
    ],
)
async def test_it_ends_with_the_reason(make: Callable, failures, said: str, calls: int) -> None:
    board = await make(max_attempts=4)
    board.failures = list(failures)
    await board.add("a")
    assert (await board.result("a")).result == said
    assert len(board.calls) == calls


async def test_a_lease_held_by_another_process_is_respected_until_it_runs_out(make: Callable) -> None:
    board = await make(exclusive=False)
    until = board.kit.clock() + timedelta(seconds=0.3)
    await board.add("a", lease_until=until, lease_owner="somebody")
    task = await board.result("a")
    assert board.kit.clock() >= until
    assert task.lease_owner == "me"


async def test_the_only_process_takes_over_what_a_dead_one_held(make: Callable) -> None:
    board = await make(exclusive=True)
    await board.add("a", lease_until=board.kit.clock() + timedelta(hours=1), lease_owner="the dead")
    assert (await board.result("a")).result == "done"


async def test_many_tasks_and_two_runners_each_once(make: Callable) -> None:
    boards = [await make(exclusive=False, owner=name) for name in ("one", "two")]
    await boards[0].kit.documents.insert_many(
        CHORES, [Chore(id=f"{n:03}", due_at=boards[0].kit.clock()) for n in range(60)]
    )
    for board in boards:
        board.runner.poke()
    for n in range(60):
        await boards[0].result(f"{n:03}")
    calls = boards[0].calls + boards[1].calls
    assert sorted(calls) == [f"{n:03}" for n in range(60)]


async def test_stopping_lets_the_work_under_way_finish(kit_env: Kit) -> None:
    board = Board(kit_env)
    started = asyncio.Event()

    async def slow(task: Chore) -> None:
        started.set()
        await asyncio.sleep(0.1)
        await Board.work(board, task)

    board.runner._work = slow
    await board.runner.start()
    await board.add("a")
    await started.wait()
    await board.runner.stop()
    assert (await kit_env.documents.get(CHORES, "a")).result == "done"


async def test_what_a_full_disk_kept_from_being_saved_is_done_when_there_is_room(
    make: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "REST", timedelta(seconds=0.05))
    board = await make(lease=timedelta(hours=2))
    save, full, tries = board.kit.documents.save, asyncio.Event(), 0

    async def saving(collection, doc, emits=()):
        nonlocal tries
        if full.is_set():
            tries += 1
            raise NoSpace("full")
        return await save(collection, doc, emits)

    async def working(task: Chore) -> None:
        board.calls.append(task.id)
        if len(board.calls) == 1:
            full.set()
        task.due_at, task.result = None, "done"
        await board.kit.documents.save(CHORES, task)

    monkeypatch.setattr(board.kit.documents, "save", saving)
    board.runner._work = working
    await board.add("a")
    await asyncio.sleep(0.5)
    assert 2 <= tries < 30
    full.clear()
    assert (await board.result("a")).result == "done"


@pytest.mark.parametrize("error", [TransientError("away"), KeyError("x")])
async def test_a_look_for_tasks_that_failed_is_not_the_last(
    make: Callable, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(tasks, "REST", timedelta(seconds=0.01))
    board = await make()
    project, failures = board.kit.documents.project, [error]

    async def failing(*given, **more):
        if failures:
            raise failures.pop()
        return await project(*given, **more)

    monkeypatch.setattr(board.kit.documents, "project", failing)
    await board.add("a")
    assert (await board.result("a")).result == "done"
    assert failures == []


@pytest.mark.parametrize("error", [VersionConflict("chores", "a", 1), KeyError("x")])
async def test_an_outcome_that_was_not_kept_is_tried_again_at_once_not_when_the_lease_ends(
    make: Callable, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(tasks, "REST", timedelta(seconds=0.05))
    board = await make(lease=timedelta(hours=2), max_attempts=1)
    give_up, failures = board.give_up, [error]

    async def failing(task: Chore, reason: str) -> None:
        if failures:
            raise failures.pop()
        await give_up(task, reason)

    board.runner._give_up = failing
    board.failures = [TransientError("away")] * 2
    await board.add("a")
    assert (await board.result("a")).result == "gave up: away"


class Contested:
    """Documents of which the first `losses` claims are lost to somebody quicker. Notes how many tasks each
    look asked for."""

    def __init__(self, kit: Kit, losses: int) -> None:
        self._documents = kit.documents
        self._losses = losses
        self.looks: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._documents, name)

    async def project(self, *given: Any, limit: int = 100, **more: Any) -> Any:
        self.looks.append(limit)
        return await self._documents.project(*given, limit=limit, **more)

    async def save(self, collection: Any, doc: Any, *emits: Any) -> Any:
        if doc.lease_until is not None and self._losses:
            self._losses -= 1
            raise VersionConflict(collection.name, doc.id, doc.version)
        return await self._documents.save(collection, doc, *emits)


async def test_who_often_comes_second_chooses_among_more(kit_env: Kit) -> None:
    contested = Contested(kit_env, losses=3)
    for number in range(60):
        await kit_env.documents.save(CHORES, Chore(id=f"{number:02}", due_at=kit_env.clock()))
    done: set[str] = set()
    all_done = asyncio.Event()

    async def work(task: Chore) -> None:
        task.due_at, task.lease_until = None, None
        await kit_env.documents.save(CHORES, task)
        done.add(task.id)
        if len(done) == 60:
            all_done.set()

    async def give_up(task: Chore, reason: str) -> None:
        raise AssertionError(reason)

    runner = TaskRunner(
        contested,  # type: ignore[arg-type]
        CHORES,
        work=work,
        give_up=give_up,
        clock=kit_env.clock,
        owner="me",
        concurrency=1,
    )
    await runner.start()
    async with asyncio.timeout(30):
        await all_done.wait()
    await runner.stop()
    assert contested.looks[0] == 17
    assert max(contested.looks) == 129, "three losses, each doubles what is looked at beyond the one"
    assert contested.looks[-1] == 17
