"""validate and forward on the real engines, 1, 2 and 4 processes: images/s, and the share of the ideal."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anteroom.client.api import Api
from anteroom.client.files import select
from anteroom.client.submission import Wishes, send
from bench.approving import approve, receiver
from bench.cases.http_ingest import Quiet
from bench.cluster import ADMIN, Cluster, cluster, engine_cpu_seconds
from bench.images import make_series
from bench.result import Result
from bench.servers import storescp

STUDIES = 40
IMAGES = 40
WORKERS = (1, 2, 4)


@dataclass(frozen=True)
class Work:
    """Images/s, and milliseconds of CPU an image: of all our services, and of the engines."""

    rate: float
    own_ms: float
    engine_ms: float


def run() -> Iterator[Result]:
    for service, measure in (("validate", _validate), ("forward", _forward)):
        found: dict[int, Work] = {}
        for workers in WORKERS:
            with tempfile.TemporaryDirectory(prefix="bench-") as name:
                found[workers] = measure(Path(name), workers)
        for workers, work in found.items():
            result = Result(f"{service}-{workers}-processes", "images/s on the engines", "higher")
            ideal = found[1].rate * min(workers, os.cpu_count() or 1)
            result.notes = {
                "of the ideal": f"{work.rate / ideal:.2f}",
                "ideal": "one process times processes, no more than processors; the engines share these",
            }
            result.notes["CPU an image"] = f"{work.own_ms:.1f} ms ours, {work.engine_ms:.1f} ms the engines'"
            result.runs.append({"ours": work.rate})
            yield result


def _validate(root: Path, workers: int) -> Work:
    """Submissions lie ready for the processes that come; until all images are known."""
    with cluster(root / "cluster") as place:
        place.start("upload", "match", "portal")
        _send(place, root)
        api = Api(_url(place, "portal"), ADMIN)
        place.start(*["validate"] * workers)
        return _until_done(place, lambda: _images(api))


def _forward(root: Path, workers: int) -> Work:
    """Decisions lie ready for the processes that come; until the last image is a file at the receiver."""
    received = root / "received"
    with (
        storescp(received) as port,
        cluster(root / "cluster", receiver(port)) as place,
    ):
        place.start("upload", "validate", "match", "portal")
        _send(place, root)
        api = Api(_url(place, "portal"), ADMIN)
        for study in _until_known(api):
            approve(api, study)
        place.start(*["forward"] * workers)
        return _until_done(place, lambda: sum(1 for _ in received.iterdir()))


def _until_done(place: Cluster, done: Callable[[], int]) -> Work:
    """From the time every process is ready until the end."""
    start, before = time.monotonic(), done()
    own, engine = place.cpu_seconds(), engine_cpu_seconds()
    while (now := done()) < STUDIES * IMAGES:
        time.sleep(0.1)
    images = now - before
    return Work(
        images / (time.monotonic() - start),
        (place.cpu_seconds() - own) / images * 1000,
        (engine_cpu_seconds() - engine) / images * 1000,
    )


def _images(api: Api) -> int:
    return sum(study["instances"] for study in _studies(api))


def _studies(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.post("/api/studies/search", {"limit": 100})["studies"]
    return found


def _url(place: Cluster, service: str) -> str:
    return next(one.url for one in place.running if one.service == service)


def _send(place: Cluster, root: Path) -> None:
    api = Api(_url(place, "upload"), ADMIN)
    for _ in range(STUDIES):
        make_series(root / "series", IMAGES)
        send(api, select([root / "series"]), Wishes(), Quiet())
        shutil.rmtree(root / "series")


def _until_known(api: Api) -> list[str]:
    """Ids of the studies, once each has all its images."""
    while True:
        if _images(api) == STUDIES * IMAGES:
            return [study["id"] for study in _studies(api)]
        time.sleep(0.05)
