"""Helpers do their jobs, die alone, are bounded in time, and leave when there is nothing to do."""

import asyncio
import os
import time
from contextlib import suppress

import psutil
import pytest

from kit.workers import BEHIND, WorkerDied, Workers, WorkerTimeout


def double(number: int) -> int:
    return 2 * number


def fail() -> None:
    raise LookupError("what went wrong")


def die() -> None:
    os._exit(7)


def hang() -> None:
    time.sleep(60)


def hog() -> int:
    return len(bytearray(64 << 30))


@pytest.fixture
async def workers():
    made = Workers(2, idle=0.3)
    yield made
    await made.stop()


async def test_jobs_run_side_by_side_and_give_their_results(workers: Workers) -> None:
    doubled = await asyncio.gather(*(workers.run(30, double, n) for n in range(8)))
    assert doubled == [0, 2, 4, 6, 8, 10, 12, 14]


async def test_errors_travel_and_accidents_hurt_nobody_else(workers: Workers) -> None:
    with pytest.raises(LookupError, match="what went wrong"):
        await workers.run(30, fail)
    with pytest.raises(MemoryError):
        await workers.run(30, hog)
    with pytest.raises(WorkerDied):
        await workers.run(30, die)
    with pytest.raises(WorkerTimeout):
        await workers.run(0.5, hang)
    assert await workers.run(30, double, 4) == 8


async def test_helpers_nobody_waits_for_stand_behind() -> None:
    behind = Workers(1, idle=0.3, nice=BEHIND)
    assert await behind.run(30, os.nice, 0) == os.nice(0) + BEHIND
    await behind.stop()


async def test_idle_helpers_end_and_start_again_when_needed(workers: Workers) -> None:
    def helpers() -> list[psutil.Process]:
        found = []
        for child in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):  # it ends at this moment
                if "spawn_main" in " ".join(child.cmdline()):
                    found.append(child)
        return found

    before = len(helpers())
    assert await workers.run(30, double, 1) == 2
    assert len(helpers()) > before
    async with asyncio.timeout(15):
        while len(helpers()) > before:
            await asyncio.sleep(0.05)
    assert await workers.run(30, double, 2) == 4
