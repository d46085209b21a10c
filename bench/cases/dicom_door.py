"""C-STORE: DCMTK's dcmsend with 1 and 4 associations into Anteroom, Orthanc and DCMTK's storescp."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.images import make_series
from bench.result import Result
from bench.servers import NODELAY, anteroom, orthanc, storescp

IMAGES = 400
RUNS = 3
CONFIG = """
[[accounts]]
id = "bench"
name = "Bench"
roles = ["send"]
ae_titles = ["BENCH"]
"""


def run() -> Iterator[Result]:
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        anteroom(Path(name) / "ours", config=CONFIG) as ours,
        orthanc(Path(name) / "orthanc", tuned=True) as pacs,
        storescp(Path(name) / "dcmtk") as plain,
    ):
        root = Path(name)
        for associations in (1, 4):
            results = [
                Result(f"dicom-door-{associations}-vs-{peer}", "images/s", "higher")
                for peer in ("orthanc", "storescp")
            ]
            for _ in range(RUNS):
                rate = _send(root, ours.dicom_port, associations)
                peers = (_send(root, pacs.dicom_port, associations), _send(root, plain, associations))
                for result, peer in zip(results, peers, strict=True):
                    result.runs.append({"ours": rate, "peer": peer})
            yield from results


def _send(root: Path, port: int, associations: int) -> float:
    folder = root / "series"
    shutil.rmtree(folder, ignore_errors=True)
    series = make_series(folder, IMAGES)
    shares = [series.files[n::associations] for n in range(associations)]
    command = [
        "/usr/bin/dcmsend",
        "-pdu",
        "131072",
        "-aet",
        "BENCH",
        "-aec",
        "ANTEROOM",
        "127.0.0.1",
        str(port),
    ]
    start = time.monotonic()
    running = [
        subprocess.Popen([*command, *map(str, share)], env=NODELAY, stdout=subprocess.DEVNULL)
        for share in shares
    ]
    for process in running:
        assert process.wait(300) == 0
    return len(series.files) / (time.monotonic() - start)
