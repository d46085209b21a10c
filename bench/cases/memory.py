"""A 5 GB submission: the largest resident memory of any process while it goes through."""

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench.cases.http_ingest import until_viewable
from bench.images import make_series
from bench.result import Result
from bench.servers import anteroom

IMAGES = 9_500


def run() -> Iterator[Result]:
    result = Result("memory-5gb", "MB resident, largest process", "lower", target=300)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, anteroom(Path(name) / "ours") as server:
        series = make_series(Path(name) / "series", IMAGES)
        peak = [0.0]
        done = threading.Event()

        def watch() -> None:
            while not done.is_set():
                peak[0] = max([peak[0], *server.rss_mb()])
                time.sleep(0.1)

        watcher = threading.Thread(target=watch)
        watcher.start()
        rate = until_viewable(server, series)
        done.set()
        watcher.join()
        result.runs.append({"ours": peak[0]})
        result.notes = {"bytes": series.bytes, "images": IMAGES, "images_per_s": round(rate)}
        shutil.rmtree(Path(name) / "series")
    yield result
