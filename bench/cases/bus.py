"""What the bus costs: events/s published and handled; time from publishing to the handler, at 200/s."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from anteroom.cluster import open_cluster
from anteroom.embedded import open_embedded
from bench.cluster import cluster
from bench.result import Result
from kit.bus.port import Bus
from kit.clock import utc_now
from kit.service import Site
from schemas.view import StudyViewed

BURST = 5_000
RATE = 200
SECONDS = 15
_BATCH = 50
_WARM = 200


def run() -> Iterator[Result]:
    found: dict[str, tuple[float, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        root = Path(name)
        found["embedded"] = asyncio.run(_embedded(root / "embedded"))
        with cluster(root / "cluster") as place:
            opened = open_cluster(place.settings, root / "own")
            found["kafka"] = asyncio.run(_measured(opened.bus))
    for label, (rate, delays) in found.items():
        throughput = Result(f"bus-{label}-events", "events/s published and handled", "higher")
        throughput.runs.append({"ours": rate})
        delay = Result(f"bus-{label}-delay", f"ms at p99, {RATE} events/s", "lower")
        delay.runs.append({"ours": statistics.quantiles(delays, n=100)[-1]})
        delay.notes = {"median": f"{statistics.median(delays):.1f} ms", "most": f"{max(delays):.1f} ms"}
        yield from (throughput, delay)


async def _embedded(folder: Path) -> tuple[float, list[float]]:
    opened = open_embedded(folder, Site(), workers=1)
    try:
        return await _measured(opened.kit.bus)
    finally:
        await opened.close()


async def _measured(bus: Bus) -> tuple[float, list[float]]:
    """Events/s of a burst published fifty at a time, and the delays in ms of events that come one by one."""
    published: dict[str, float] = {}
    delays: list[float] = []
    handled = asyncio.Event()
    left = _WARM

    async def handle(event: StudyViewed) -> None:
        nonlocal left
        if event.id in published:
            delays.append((time.monotonic() - published[event.id]) * 1000)
        left -= 1
        if left == 0:
            handled.set()

    bus.subscribe(StudyViewed, "bench", handle)
    await bus.start()
    await bus.publish([_event(-1 - number) for number in range(_WARM)])
    await asyncio.wait_for(handled.wait(), 300)
    handled.clear()
    left = BURST
    start = time.monotonic()
    for first in range(0, BURST, _BATCH):
        await bus.publish([_event(number) for number in range(first, first + _BATCH)])
    await asyncio.wait_for(handled.wait(), 300)
    rate = BURST / (time.monotonic() - start)
    handled.clear()
    left = RATE * SECONDS
    began = time.monotonic()
    under_way: set[asyncio.Task[None]] = set()
    for number in range(RATE * SECONDS):
        event = _event(BURST + number)
        await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
        published[event.id] = time.monotonic()
        task = asyncio.create_task(bus.publish([event]))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.wait_for(handled.wait(), 300)
    await bus.stop()
    return rate, delays


def _event(number: int) -> StudyViewed:
    return StudyViewed.first(
        time=utc_now(),
        key=f"study{number % 500}",
        correlation_id=f"{number}",
        step=str(number),
        study_id=f"study{number % 500}",
        account_id="bench",
        account="Bench",
    )
