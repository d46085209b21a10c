"""A study waits for its approval, another lies in the DICOM door's spool, a third is half uploaded, when the
installation is saved or moved. Where it goes on all are there, the upload ends, and the PACS gets its study.
"""

import asyncio
import shutil
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from anteroom.client.api import Api
from anteroom.client.files import select
from anteroom.client.submission import Wishes, send
from anteroom.demo import study as demo
from bench.images import make_series
from tests.component.cli.server import ANTEROOM, run
from tests.component.upload.conftest import tar_of
from tests.e2e.server import ROOT, Server
from tests.neighbours.cluster_place import Place
from tests.neighbours.pacs import StartOrthanc
from tests.neighbours.process import NeighbourProcess, binary, free_port

SLICES = 8
IN_SPOOL = 3
TORN = 2
TUS = {"tus-resumable": "1.0.0", "content-type": "application/offset+octet-stream"}

pytestmark = pytest.mark.slow


def config(pacs_port: int) -> str:
    return f"""
[upload]
quiet_s = 600
idle_s = 300
[notify]
off = true
[match]
hl7_host = "127.0.0.1"
[[destinations]]
id = "pacs"
host = "127.0.0.1"
port = {pacs_port}
called_ae = "ORTHANC"
commitment = false
[[accounts]]
id = "modality"
name = "Modality"
roles = ["send"]
ae_titles = ["MODALITY"]
addresses = ["127.0.0.1"]
"""


class _Quiet:
    def sent(self, size: int) -> None: ...
    def files_done(self, count: int) -> None: ...
    def waiting(self, reason: str) -> None: ...


@pytest.fixture
def pacs(start_orthanc: StartOrthanc) -> Any:
    return start_orthanc()


@dataclass(frozen=True)
class Torn:
    """An upload of two images, half of whose bytes have come."""

    submission: str
    location: str
    content: bytes

    @property
    def half(self) -> int:
        return len(self.content) // 2


def tear(server: Server, folder: Path) -> Torn:
    series = make_series(folder, TORN, side=64, patient="TORN")
    content = tar_of({f"{number}/{path.name}": path.read_bytes() for number, path in enumerate(series.files)})
    with http(server.url, server.token) as client:
        opened = client.post("/api/submissions", json={"declared_files": TORN}).json()["id"]
        pairs = {"submission_id": opened, "ordinals": f"0-{TORN - 1}"}
        described = ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in pairs.items())
        headers = {**TUS, "upload-length": str(len(content)), "upload-metadata": described}
        made = client.post("/api/uploads", headers=headers, content=content[: len(content) // 2])
        assert made.status_code == 201, made.text
    return Torn(opened, httpx.URL(made.headers["location"]).path, content)


def finish(torn: Torn, url: str, token: str) -> None:
    with http(url, token) as client:
        assert client.head(torn.location, headers=TUS).headers["upload-offset"] == str(torn.half)
        headers = {**TUS, "upload-offset": str(torn.half)}
        done = client.patch(torn.location, headers=headers, content=torn.content[torn.half :])
        assert done.status_code == 204, done.text
        assert client.post(f"/api/submissions/{torn.submission}/close").status_code == 200


def http(url: str, token: str) -> httpx.Client:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)


@pytest.fixture
def torn(server: Server, tmp_path: Path) -> Torn:
    return tear(server, tmp_path / "torn")


@pytest.fixture
def server(tmp_path: Path, pacs: Any) -> Iterator[Server]:
    """One study waits for a person; three images of another were acknowledged and lie in the spool."""
    server = Server(tmp_path / "first", config(pacs.dicom_port))
    server.start()
    with server.api() as api:
        sent = send(api, select(demo.files()[:SLICES]), Wishes(), _Quiet())
        path = f"/api/submissions/{sent.submission_id}/outcome"
        until(lambda: api.get(path)["state"] == "validated")
        until(lambda: studies(api)[0]["state"] not in ("", "arrived"))
    series = make_series(tmp_path / "spooled", IN_SPOOL, side=64, patient="SPOOLED")
    command = [binary("storescu", "dcmtk"), "-aet", "MODALITY", "-aec", "ANTEROOM", "127.0.0.1"]
    subprocess.run([*command, str(server.dicom_port), *map(str, series.files)], check=True, timeout=60)
    assert list((server.data / "spool/upload").glob("*.tar"))
    yield server
    server.kill()


def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def studies(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get("/api/studies")["studies"]
    return found


def images(api: Api) -> list[int]:
    return [api.get(f"/api/studies/{study['id']}")["study"]["instances"] for study in studies(api)]


def goes_on(api: Api, pacs: Any, known: str, torn: Torn) -> None:
    """The study that waited is approved and arrives; the spooled one is there, and the torn one whole."""
    path = f"/api/submissions/{torn.submission}/outcome"
    until(lambda: api.get(path)["state"] == "validated")
    assert api.get(path)["stored"] == TORN
    assert known in [study["id"] for study in studies(api)]
    until(lambda: len(studies(api)) == 3)
    until(lambda: sorted(images(api)) == sorted([SLICES, IN_SPOOL, TORN]))
    detail = api.get(f"/api/studies/{known}")
    body = {name: detail[name] for name in ("study_revision", "match_revision")}
    body |= {"action": "approve", "target": "as-sent", "destinations": ["pacs"]}
    api.post(f"/api/studies/{known}/decision", body)
    until(lambda: api.get(f"/api/studies/{known}")["state"] == "in-pacs")
    assert pacs.count_instances(detail["study"]["study_instance_uid"]) == SLICES
    assert api.get("/api/dead-letters") == []


def test_saved_while_it_runs_and_brought_back_elsewhere(
    server: Server, torn: Torn, pacs: Any, tmp_path: Path
) -> None:
    with server.api() as api:
        (study,) = studies(api)
    place = tmp_path / "backups"
    saved = run([*ANTEROOM, "backup", "--data", str(server.data), "--to", str(place), "--json"])
    assert saved.status == 0, saved.err
    assert saved.json["objects"] > 0
    again = run([*ANTEROOM, "backup", "--data", str(server.data), "--to", str(place)])
    assert again.status == 0, again.err
    assert "0 objects were copied" in again.out
    assert "Doe" not in again.out + again.err
    server.kill()
    shutil.rmtree(server.data)
    checked = run([*ANTEROOM, "restore", "--from", str(place), "--check"])
    assert (checked.status, "in order" in checked.out) == (0, True)
    second = Server(tmp_path / "second", config(pacs.dicom_port))
    restored = run([*ANTEROOM, "restore", "--from", str(place), "--data", str(second.data)])
    assert restored.status == 0, restored.err
    assert "not empty" in run([*ANTEROOM, "restore", "--from", str(place), "--data", str(second.data)]).err
    second.start()
    try:
        finish(torn, second.url, second.token)
        with second.api() as api:
            goes_on(api, pacs, study["id"], torn)
    finally:
        second.stop()


def test_moved_to_a_cluster(server: Server, torn: Torn, pacs: Any, tmp_path: Path) -> None:
    place = Place(tmp_path)
    with server.api() as api:
        (study,) = studies(api)
    running = run([*ANTEROOM, "migrate", "--data", str(server.data), "--to", str(place.config), "--json"])
    assert (running.status, "in use" in running.err) == (1, True)
    server.kill()
    moved = run([*ANTEROOM, "migrate", "--data", str(server.data), "--to", str(place.config), "--json"])
    assert moved.status == 0, moved.err
    assert moved.json["differences"] == []
    with place.config.open("a") as file:
        file.write(config(pacs.dicom_port))
    port = free_port()
    command = [sys.executable, "-m", "anteroom", "run", "all", "--config", str(place.config)]
    command += ["--http-port", str(port), "--dicom-port", "0", "--hl7-port", "0"]
    process = NeighbourProcess(command, log=tmp_path / "cluster.log", cwd=ROOT)
    process.start(lambda: ready(port), within=120)
    try:
        token = (server.data / "admin.token").read_text().strip()
        url = f"http://127.0.0.1:{port}"
        finish(torn, url, token)
        with Api(url, token, timeout=60) as api:
            goes_on(api, pacs, study["id"], torn)
    finally:
        process.stop()
        asyncio.run(place.clear())


def ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
