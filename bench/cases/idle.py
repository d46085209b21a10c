"""The idle system: resident memory in all, CPU, and the time from start to ready."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.cases.http_ingest import until_viewable
from bench.images import make_series
from bench.result import Result
from bench.servers import Anteroom, anteroom


def run() -> Iterator[Result]:
    memory = Result("idle-memory", "MB resident in all, fresh", "lower", target=250)
    after = Result("idle-memory-after-work", "MB resident in all, after 500 CT", "lower", target=250)
    cpu = Result("idle-cpu", "% of a core", "lower", target=2)
    ready = Result("start-to-ready", "s", "lower", target=3)
    for number in range(3):
        with tempfile.TemporaryDirectory(prefix="bench-") as name, anteroom(Path(name) / "ours") as server:
            ready.runs.append({"ours": server.ready_s})
            time.sleep(3)
            memory.runs.append({"ours": sum(server.rss_mb())})
            before = _cpu_seconds(server)
            time.sleep(20)
            cpu.runs.append({"ours": 100 * (_cpu_seconds(server) - before) / 20})
            if number == 0:
                until_viewable(server, make_series(Path(name) / "series", 500))
                time.sleep(75)
                after.runs.append({"ours": sum(server.rss_mb())})
    yield from (memory, after, cpu, ready)


def _cpu_seconds(server: Anteroom) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in server.processes())
