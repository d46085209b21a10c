"""Helper processes for work on bytes: parsing, rewriting, decoding. They never open the database.

A job is a module-level function with picklable arguments (an Objects adapter is picklable). A job
that crashes its process or exceeds its time hurts nobody else: its caller gets the error.
"""

import asyncio
import multiprocessing
import resource
import signal
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout
from typing import ParamSpec, TypeVar

from pebble import ProcessExpired, ProcessPool

from kit.errors import AnteroomError
from kit.logging import silence_libraries

P = ParamSpec("P")
R = TypeVar("R")

_ADDRESS_SPACE = 6 << 30
"""A hostile image may end its helper with MemoryError, never the machine."""


class WorkerDied(AnteroomError):
    """The job killed its process (a decoder crashed, memory ran out)."""


class WorkerTimeout(AnteroomError):
    """The job took longer than it may and was ended."""


def _begin() -> None:
    """In each helper: Ctrl-C is the main process's business, memory is bounded, libraries are quiet."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    silence_libraries()


class Workers:
    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ProcessPool | None = None

    async def run(self, timeout: float, job: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the job in a helper process, waiting at most `timeout` seconds once it started.

        Raises what the job raises, WorkerDied or WorkerTimeout.
        """
        if self._pool is None:
            self._pool = ProcessPool(
                max_workers=self._count,
                max_tasks=2000,
                initializer=_begin,
                context=multiprocessing.get_context("spawn"),
            )
        future = self._pool.schedule(job, args=list(args), kwargs=kwargs, timeout=timeout)
        try:
            result: R = await asyncio.wrap_future(future)
        except ProcessExpired as error:
            raise WorkerDied(f"{job.__name__} ended its process (exit code {error.exitcode})") from error
        except (FutureTimeout, TimeoutError) as error:
            raise WorkerTimeout(f"{job.__name__} took longer than {timeout:g} s") from error
        return result

    async def stop(self) -> None:
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.stop()  # type: ignore[no-untyped-call]
            await asyncio.to_thread(pool.join, 10)
