"""What a study costs: CPU, bytes written for each byte received, documents saved; here and on the engines."""

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.cases.http_ingest import until_viewable
from bench.cluster import ADMIN, cluster, engine_cpu_seconds
from bench.images import make_series
from bench.result import Result
from bench.servers import Anteroom, anteroom

STUDIES = 5
IMAGES = 100


def run() -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        yield from _embedded(Path(name))
        yield from _on_engines(Path(name))


def _embedded(root: Path) -> Iterator[Result]:
    cpu = Result("study-cpu", f"CPU-seconds a study of {IMAGES} CT, until viewable", "lower")
    written = Result("study-bytes-written", "bytes written for each byte received", "lower", target=2.1)
    saves = Result("study-saves", "documents saved a study", "lower")
    with anteroom(root / "ours") as server:
        until_viewable(server, make_series(root / "warm", 20))
        for number in range(STUDIES):
            series = make_series(root / f"series{number}", IMAGES)
            time.sleep(2)
            before = (_cpu(server), _written(server), _saved(server))
            until_viewable(server, series)
            time.sleep(3)
            after = (_cpu(server), _written(server), _saved(server))
            cpu.runs.append({"ours": after[0] - before[0]})
            written.runs.append({"ours": (after[1] - before[1]) / series.bytes})
            saves.runs.append({"ours": after[2] - before[2]})
    yield from (cpu, written, saves)


def _on_engines(root: Path) -> Iterator[Result]:
    rate = Result("engines-ingest", "images/s until viewable, all services in one process", "higher")
    cpu = Result("engines-study-cpu", f"CPU-seconds a study of {IMAGES} CT, services alone", "lower")
    engine = Result("engines-own-cpu", f"CPU-seconds a study of {IMAGES} CT, of the engines", "lower")
    with cluster(root / "cluster") as place:
        (process,) = place.start("all")
        server = Anteroom(place.folder, process.url, ADMIN, process.port, 0, 0, process.process.pid, 0.0)
        until_viewable(server, make_series(root / "first", 20))
        for number in range(STUDIES):
            series = make_series(root / f"other{number}", IMAGES)
            before = (place.cpu_seconds(), engine_cpu_seconds())
            rate.runs.append({"ours": until_viewable(server, series)})
            time.sleep(3)
            cpu.runs.append({"ours": place.cpu_seconds() - before[0]})
            engine.runs.append({"ours": engine_cpu_seconds() - before[1]})
    yield from (rate, cpu, engine)


def _cpu(server: Anteroom) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in server.processes())


def _written(server: Anteroom) -> int:
    """Bytes the processes had the kernel write to the disk (proc(5), write_bytes)."""
    return sum(_counted(process) for process in server.processes())


def _counted(process: psutil.Process) -> int:
    return int(process.io_counters().write_bytes)


def _saved(server: Anteroom) -> int:
    """Saves of all documents there are: each document counts its own."""
    connection = sqlite3.connect(f"file:{server.data / 'anteroom.db'}?mode=ro", uri=True)
    try:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name.startswith("d_") and not name.endswith("_members")
        ]
        return sum(
            connection.execute(f"SELECT coalesce(sum(version), 0) FROM {table}").fetchone()[0]
            for table in tables
        )
    finally:
        connection.close()
