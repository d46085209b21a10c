"""What many workers cost each other: tasks that only sleep, on MongoDB's protocol, with 1 to 64 workers."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from anteroom.cluster import open_cluster
from bench.cluster import cluster, engine_cpu_seconds
from bench.result import Result
from kit.clock import utc_now
from kit.documents.mongo import MongoDocuments
from kit.documents.port import Collection
from kit.tasks import TaskDoc, TaskRunner

WORKERS = (1, 4, 16, 64)
TASKS_EACH = 10
SLEEP_S = 1.0
_TEN_MINUTES = timedelta(minutes=10)


class Nap(TaskDoc):
    """A task that only sleeps."""


def run() -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name, cluster(Path(name) / "cluster") as place:
        opened = open_cluster(place.settings, Path(name) / "own")
        found = asyncio.run(_all(opened.documents))
    for workers, (took, engine) in found.items():
        ideal = TASKS_EACH * SLEEP_S
        result = Result(f"workers-asleep-{workers}", "of the ideal throughput", "higher")
        result.notes = {"workers": workers, "tasks": workers * TASKS_EACH, "each sleeps": f"{SLEEP_S:g} s"}
        result.notes["CPU of the document store"] = f"{engine / (workers * TASKS_EACH) * 1000:.1f} ms a task"
        result.notes["busy"] = f"{engine / took:.0%} of a processor"
        result.runs.append({"ours": ideal / took})
        yield result


async def _all(documents: MongoDocuments) -> dict[int, tuple[float, float]]:
    found = {}
    for workers in WORKERS:
        naps = Collection(f"naps{workers}", Nap, fields=("due_at",))
        await documents.ensure_indexes([naps])
        before = engine_cpu_seconds()
        took = await _one(documents, naps, workers)
        found[workers] = (took, engine_cpu_seconds() - before)
    return found


async def _one(documents: MongoDocuments, naps: Collection[Nap], workers: int) -> float:
    """Seconds from the first look of the workers until the last nap is over."""
    count = workers * TASKS_EACH
    await documents.insert_many(naps, [Nap(id=f"{n:06}", due_at=utc_now()) for n in range(count)])
    left = count
    over = asyncio.Event()

    async def work(nap: Nap) -> None:
        nonlocal left
        await asyncio.sleep(SLEEP_S)
        nap.due_at, nap.lease_until = None, None
        await documents.save(naps, nap)
        left -= 1
        if not left:
            over.set()

    async def give_up(nap: Nap, reason: str) -> None:
        raise RuntimeError(reason)

    runners = [
        TaskRunner(
            documents,
            naps,
            work=work,
            give_up=give_up,
            clock=utc_now,
            owner=f"worker-{n}",
            concurrency=1,
            longest=_TEN_MINUTES,
        )
        for n in range(workers)
    ]
    start = time.monotonic()
    await asyncio.gather(*(runner.start() for runner in runners))
    await asyncio.wait_for(over.wait(), 600)
    took = time.monotonic() - start
    await asyncio.gather(*(runner.stop() for runner in runners))
    return took
