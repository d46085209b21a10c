"""What the bus costs: events/s published and handled; time from publishing to the handler, at 200/s.

Publisher, handler and bus are one process, which did what a service does when it has started (kit.heap).
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from anteroom.cluster import open_cluster
from anteroom.embedded import open_embedded
from bench.cluster import cluster
from bench.result import Result
from kit.bus.port import Bus
from kit.clock import utc_now
from kit.heap import settle
from kit.service import Site
from schemas.view import StudyViewed

BURST = 5_000
RATE = 200
SECONDS = 15
_BATCH = 50
_WARM = 200
_READING = {
    "of the tail": "where p99 until durable and our being late are high together, this process or the broker "
    "waited for one of the 2 processors they share; an engine full of old topics stands still by itself",
}


@dataclass
class Measured:
    """Times of each event by its id, on one monotonic clock."""

    rate: float = 0.0
    published: dict[str, float] = field(default_factory=dict)
    durable: dict[str, float] = field(default_factory=dict)
    handled: dict[str, float] = field(default_factory=dict)
    late: list[float] = field(default_factory=list)
    """By how many ms the measuring process itself was late to publish."""

    def delays(self) -> list[float]:
        return [(self.handled[event] - at) * 1000 for event, at in self.published.items()]

    def hops(self) -> dict[str, object]:
        durable = [(self.durable[event] - at) * 1000 for event, at in self.published.items()]
        onward = [(self.handled[event] - self.durable[event]) * 1000 for event in self.published]
        return {
            "p99 until durable": f"{_p99(durable):.1f} ms",
            "p99 from durable to the handler": f"{_p99(onward):.1f} ms",
            "p99 of our being late": f"{_p99(self.late):.1f} ms",
        }


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[-1]


def run() -> Iterator[Result]:
    found: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        root = Path(name)
        found["embedded"] = asyncio.run(_embedded(root / "embedded"))
        with cluster(root / "cluster") as place:
            opened = open_cluster(place.settings, root / "own")
            found["kafka"] = asyncio.run(_measured(opened.bus))
    for label, measured in found.items():
        throughput = Result(f"bus-{label}-events", "events/s published and handled", "higher")
        throughput.runs.append({"ours": measured.rate})
        delay = Result(f"bus-{label}-delay", f"ms at p99, {RATE} events/s", "lower")
        delays = measured.delays()
        delay.runs.append({"ours": _p99(delays)})
        delay.notes = {
            "median": f"{statistics.median(delays):.1f} ms",
            "most": f"{max(delays):.1f} ms",
            **measured.hops(),
            **(_READING if label == "kafka" else {}),
        }
        yield from (throughput, delay)


async def _embedded(folder: Path) -> Measured:
    opened = open_embedded(folder, Site(), workers=1)
    try:
        return await _measured(opened.kit.bus)
    finally:
        await opened.close()


async def _measured(bus: Bus) -> Measured:
    """Events/s of a burst published fifty at a time; and when events that come one by one pass each hop."""
    found = Measured()
    handled = asyncio.Event()
    left = _WARM

    async def handle(event: StudyViewed) -> None:
        nonlocal left
        if event.id in found.published:
            found.handled[event.id] = time.monotonic()
        left -= 1
        if left == 0:
            handled.set()

    async def publish(event: StudyViewed) -> None:
        await bus.publish([event])
        found.durable[event.id] = time.monotonic()

    bus.subscribe(StudyViewed, "bench", handle)
    await bus.start()
    await bus.publish([_event(-1 - number) for number in range(_WARM)])
    await asyncio.wait_for(handled.wait(), 300)
    settle()
    handled.clear()
    left = BURST
    start = time.monotonic()
    for first in range(0, BURST, _BATCH):
        await bus.publish([_event(number) for number in range(first, first + _BATCH)])
    await asyncio.wait_for(handled.wait(), 300)
    found.rate = BURST / (time.monotonic() - start)
    handled.clear()
    left = RATE * SECONDS
    began = time.monotonic()
    under_way: set[asyncio.Task[None]] = set()
    for number in range(RATE * SECONDS):
        event = _event(BURST + number)
        await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
        found.published[event.id] = time.monotonic()
        found.late.append(max(0.0, time.monotonic() - began - number / RATE) * 1000)
        task = asyncio.create_task(publish(event))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.wait_for(handled.wait(), 300)
    await asyncio.gather(*under_way)
    await bus.stop()
    return found


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
