"""DICOMweb beside Orthanc's, interleaved: the metadata of 2,000 images, 200 frames over 6 connections."""

import http.client
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from anteroom.demo.orthanc import Orthanc
from bench.cases.http_ingest import until_viewable
from bench.images import Series, make_series
from bench.result import Result
from bench.servers import Anteroom, anteroom, orthanc, versions

IMAGES, FRAMES, CONNECTIONS = 2000, 200, 6
RUNS = 5
FRAME = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'


def run() -> Iterator[Result]:
    metadata = Result("view-metadata", "s", "lower", target=0.1, notes=dict(versions()))
    packed = Result("view-metadata-gzip", "s, packed by us, plain by the peer", "lower")
    frames = Result("view-frames", "frames/s", "higher", target=1.0)
    search = Result("view-instances", "s for all instances of the series", "lower")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        root = Path(name)
        with anteroom(root / "ours") as ours, orthanc(root / "peer", tuned=True) as peer:
            many = make_series(root / "many", IMAGES, side=64)
            few = make_series(root / "few", FRAMES)
            sides = (_Side.ours(ours), _Side.peer(peer))
            for series in (many, few):
                until_viewable(ours, series)
                store(peer, series)
            shutil.rmtree(root / "many")
            places = [side.series(many) for side in sides], [side.series(few) for side in sides]
            for side, place in zip(sides, places[1], strict=True):
                side.frames(place)
            for _ in range(RUNS):
                plain = [
                    side.seconds(f"{place}/metadata") for side, place in zip(sides, places[0], strict=True)
                ]
                small = sides[0].seconds(f"{places[0][0]}/metadata", {"accept-encoding": "gzip"})
                found = [
                    side.seconds(f"{place}/instances") for side, place in zip(sides, places[0], strict=True)
                ]
                rates = [side.frames(place) for side, place in zip(sides, places[1], strict=True)]
                for result, pair in ((metadata, plain), (search, found), (frames, rates)):
                    result.runs.append({"ours": pair[0], "peer": pair[1]})
                packed.runs.append({"ours": small, "peer": plain[1]})
    yield from (metadata, packed, search, frames)


class _Side:
    def __init__(self, host: str, port: int, root: str, headers: Mapping[str, str]) -> None:
        self._host, self._port, self._root, self._headers = host, port, root, dict(headers)

    @classmethod
    def ours(cls, server: Anteroom) -> "_Side":
        return cls("127.0.0.1", server.http_port, "/dicomweb", {"authorization": f"Bearer {server.token}"})

    @classmethod
    def peer(cls, pacs: Orthanc) -> "_Side":
        return cls(pacs.host, pacs.http_port, "/dicom-web", {})

    def series(self, series: Series) -> str:
        found = json.loads(self._get(f"{self._root}/studies/{series.study_uid}/series"))
        return f"{self._root}/studies/{series.study_uid}/series/{found[0]['0020000E']['Value'][0]}"

    def seconds(self, path: str, headers: Mapping[str, str] | None = None) -> float:
        start = time.monotonic()
        body = self._get(path, headers)
        assert len(body) > 1000
        return time.monotonic() - start

    def frames(self, place: str) -> float:
        """Frames a second; each connection takes the next one."""
        found = json.loads(self._get(f"{place}/instances"))
        todo = [f"{place}/instances/{one['00080018']['Value'][0]}/frames/1" for one in found]
        assert len(todo) == FRAMES

        def work() -> None:
            connection = http.client.HTTPConnection(self._host, self._port)
            while True:
                try:
                    path = todo.pop()
                except IndexError:
                    break
                connection.request("GET", path, headers={**self._headers, "accept": FRAME})
                answer = connection.getresponse()
                assert len(answer.read()) > 500_000
                assert answer.status == 200, answer.status
            connection.close()

        threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return FRAMES / (time.monotonic() - start)

    def _get(self, path: str, headers: Mapping[str, str] | None = None) -> bytes:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=120)
        wanted = {**self._headers, "accept": "application/dicom+json", **(headers or {})}
        connection.request("GET", path, headers=wanted)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, answer.status
        connection.close()
        return body


def store(pacs: Orthanc, series: Series) -> None:
    connection = http.client.HTTPConnection(pacs.host, pacs.http_port)
    for path in series.files:
        connection.request("POST", "/instances", body=path.read_bytes())
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
    connection.close()
