"""Forwarding 400 CT images to DCMTK's storescp, reconciled on the way, beside DCMTK's storescu."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from anteroom.client.api import Api
from bench.approving import approve, receiver
from bench.cases.http_ingest import until_viewable
from bench.images import make_series
from bench.result import Result
from bench.servers import NODELAY, Anteroom, anteroom, storescp

IMAGES = 400
RUNS = 3


def run() -> Iterator[Result]:
    result = Result("forwarding", "images/s", "higher")
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        storescp(Path(name) / "received") as port,
        anteroom(Path(name) / "ours", config=receiver(port)) as server,
    ):
        root = Path(name)
        for _ in range(RUNS):
            shutil.rmtree(root / "series", ignore_errors=True)
            series = make_series(root / "series", IMAGES)
            until_viewable(server, series)
            ours = _forward(server, series.study_uid, root / "received")
            _empty(root / "received")
            result.runs.append({"ours": ours, "peer": _storescu(series.files, port)})
            _empty(root / "received")
    yield result


def _forward(server: Anteroom, study_uid: str, received: Path) -> float:
    """From the decision until the last image is a file at the receiver."""
    api = Api(server.url, server.token)
    while not (found := api.post("/api/studies/search", {"q": study_uid, "state": "unmatched"})["studies"]):
        time.sleep(0.05)
    start = approve(api, found[0]["id"])
    while sum(1 for _ in received.iterdir()) < IMAGES:
        time.sleep(0.01)
    return IMAGES / (time.monotonic() - start)


def _storescu(files: list[Path], port: int) -> float:
    command = ["/usr/bin/storescu", "-pdu", "131072", "--max-send-pdu", "131072", "127.0.0.1", str(port)]
    start = time.monotonic()
    subprocess.run([*command, *map(str, files)], env=NODELAY, check=True, capture_output=True)
    return len(files) / (time.monotonic() - start)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
