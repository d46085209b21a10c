"""Helper processes for work on bytes: parsing, rewriting, decoding. They never open the database.

A job is a module-level function with picklable arguments (an Objects adapter is picklable). A job
that crashes its process or exceeds its time hurts nobody else: its caller gets the error.
"""

import asyncio
import ctypes
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, ParamSpec, TypeVar

from pebble import ProcessExpired, ProcessPool

from kit import acts
from kit.errors import AnteroomError
from kit.logging import Configured, configure, configured, silence_libraries

P = ParamSpec("P")
R = TypeVar("R")

_PARENT_DEATH_SIGNAL = 1
_ADDRESS_SPACE = 6 << 30
"""A hostile image may end its helper with MemoryError, never the machine."""
BEHIND = 10
"""Niceness of helpers that nobody waits for: doors and pages go first where processors are short."""


class WorkerDied(AnteroomError):
    """The job killed its process (a decoder crashed, memory ran out)."""


class WorkerTimeout(AnteroomError):
    """The job took longer than it may and was ended."""


def _end_with_parent() -> None:
    """Linux only (prctl(2), PR_SET_PDEATHSIG); elsewhere a helper ends with its job."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _begin(logs: Configured | None, nice: int) -> None:
    """In each helper: Ctrl-C is the main process's business, memory is bounded, logs are as in the main
    process, libraries are quiet; and a helper that hangs does not outlive a main process that was killed."""
    _end_with_parent()
    os.nice(nice)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    if logs is not None:
        configure(logs[0], plain=logs[1])
    silence_libraries()


def _do(marks: acts.Marks | None, job: Callable[..., R], args: list[Any], kwargs: dict[str, Any]) -> R:
    """In a helper: the job, as a part of the act that asked for it."""
    with acts.resumed(marks):
        return job(*args, **kwargs)


class Workers:
    """Helpers start with the first job and end when there was none for `idle` seconds."""

    def __init__(self, count: int, *, idle: float = 60.0, nice: int = 0) -> None:
        self._count = count
        self._nice = nice
        self._idle = idle
        self._pool: ProcessPool | None = None
        self._jobs = 0
        self._rest: asyncio.TimerHandle | None = None

    async def run(self, timeout: float, job: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the job in a helper process, waiting at most `timeout` seconds once it started.

        Raises what the job raises, WorkerDied or WorkerTimeout.
        """
        self._jobs += 1
        try:
            asked = [acts.marks(), job, list(args), kwargs]
            future = self._open().schedule(_do, args=asked, timeout=timeout)
            result: R = await asyncio.wrap_future(future)
        except ProcessExpired as error:
            raise WorkerDied(f"{job.__name__} ended its process (exit code {error.exitcode})") from error
        except (FutureTimeout, TimeoutError) as error:
            raise WorkerTimeout(f"{job.__name__} took longer than {timeout:g} s") from error
        finally:
            self._jobs -= 1
            if self._jobs == 0:
                self._rest = asyncio.get_running_loop().call_later(self._idle, self._let_go)
        return result

    async def stop(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await asyncio.to_thread(_end, pool)

    def _open(self) -> ProcessPool:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        if self._pool is None:
            self._pool = ProcessPool(
                max_workers=self._count,
                max_tasks=2000,
                initializer=_begin,
                initargs=[configured(), self._nice],
                context=multiprocessing.get_context("spawn"),
            )
        return self._pool

    def _let_go(self) -> None:
        if self._jobs == 0 and self._pool is not None:
            pool, self._pool = self._pool, None
            asyncio.get_running_loop().run_in_executor(None, _end, pool)


def _end(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join(10)
