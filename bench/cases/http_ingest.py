"""500 CT images of 512×512×16 bit over HTTP until viewable, beside Orthanc's best of 1, 4 and 8 clients."""

import http.client
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from anteroom.client.api import Api
from anteroom.client.files import select
from anteroom.client.submission import Wishes, send
from anteroom.demo.orthanc import Orthanc
from bench.images import Series, make_series
from bench.result import Result
from bench.servers import Anteroom, anteroom, clamd, orthanc, versions

IMAGES = 500
RUNS = 5


def run() -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        root = Path(name)
        yield from _plain(root)
        yield _scanned(root)


def _plain(root: Path) -> Iterator[Result]:
    """Two peers: Orthanc as it comes, which syncs what it stores as we do, and Orthanc at its fastest."""
    safe = Result("http-ingest", "images/s", "higher", target=1.2, notes=dict(versions()))
    fast = Result("http-ingest-tuned", "images/s", "higher", notes={"peer": "unsynced, no checksums"})
    with (
        anteroom(root / "ours") as ours,
        orthanc(root / "peer") as default,
        orthanc(root / "tuned", tuned=True) as tuned,
    ):
        until_viewable(ours, _fresh(root, 50))
        for _ in range(RUNS):
            rates = {
                label: {str(clients): _peer(pacs, _fresh(root), clients) for clients in (1, 4, 8)}
                for label, pacs in (("default", default), ("tuned", tuned))
            }
            rate = until_viewable(ours, _fresh(root))
            for result, peers in ((safe, rates["default"]), (fast, rates["tuned"])):
                result.runs.append({"ours": rate, "peer": max(peers.values()), **peers})
    yield safe
    yield fast


def _scanned(root: Path) -> Result:
    """The same with ClamAV on (one signature; no peer scans)."""
    result = Result("http-ingest-clamav", "images/s", "higher")
    with clamd(root / "clamd") as port:
        config = f'[validate]\nclamav_host = "127.0.0.1"\nclamav_port = {port}\n'
        with anteroom(root / "scanned", config=config) as ours:
            until_viewable(ours, _fresh(root, 50))
            result.runs = [{"ours": until_viewable(ours, _fresh(root))} for _ in range(3)]
    return result


def _fresh(root: Path, images: int = IMAGES) -> Series:
    folder = root / "series"
    shutil.rmtree(folder, ignore_errors=True)
    return make_series(folder, images)


def until_viewable(server: Anteroom, series: Series) -> float:
    """From the first byte until a QIDO-RS query finds every image and the last one can be fetched."""
    api = Api(server.url, server.token)
    start = time.monotonic()
    send(api, select([series.files[0].parent]), Wishes(), Quiet())
    path = f"/dicomweb/studies?StudyInstanceUID={series.study_uid}&includefield=00201208"
    while True:
        found = api.get(path)
        if found and found[0].get("00201208", {}).get("Value") == [len(series.files)]:
            break
        time.sleep(0.01)
    seconds = time.monotonic() - start
    api.close()
    return len(series.files) / seconds


def _peer(pacs: Orthanc, series: Series, clients: int) -> float:
    """POST /instances answers when the image is stored and indexed."""
    todo = list(series.files)

    def work() -> None:
        connection = http.client.HTTPConnection(pacs.host, pacs.http_port)
        while True:
            try:
                path = todo.pop()
            except IndexError:
                break
            connection.request("POST", "/instances", body=path.read_bytes())
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(clients)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(series.files) / (time.monotonic() - start)


class Quiet:
    def sent(self, size: int) -> None: ...

    def files_done(self, count: int) -> None: ...

    def waiting(self, reason: str) -> None: ...
