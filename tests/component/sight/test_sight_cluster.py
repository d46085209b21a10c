"""The same trace where every service is a process of its own, on Kafka, MongoDB and S3."""

import asyncio
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest

from tests.component.sight.doings import image
from tests.component.sight.hospital import PHI, Hospital
from tests.neighbours.cluster_place import Place
from tests.neighbours.collector import Collector
from tests.neighbours.process import NeighbourProcess
from tests.unit.dicom.samples import part10

SERVICES = ("upload", "validate", "portal")
ADMIN = {"authorization": f"Bearer {secrets.token_hex(32)}"}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    asyncio.run(made.clear())


class Process:
    """One service. `url` once it is ready."""

    def __init__(self, service: str, folder: Path, config: Path, key: Path) -> None:
        self.data = folder / service
        self.log = folder / f"{service}.log"
        command = [sys.executable, "-m", "anteroom", "run", service, "--config", str(config)]
        command += ["--data", str(self.data), "--http-port", "0", "--dicom-port", "-1", "--hl7-port", "0"]
        self._process = NeighbourProcess(command, log=self.log, env={"ANTEROOM_PROCESS_KEY_FILE": str(key)})
        self.url = ""

    def start(self) -> None:
        self._process.start(self._ready, within=120)

    def stop(self) -> None:
        self._process.stop()

    def _ready(self) -> bool:
        try:
            self.url = orjson.loads((self.data / "server.json").read_bytes())["url"]
            return httpx.get(f"{self.url}/readyz", timeout=15, trust_env=False).status_code == 200
        except (OSError, httpx.TransportError):
            return False


def test_one_trace_leads_through_all_processes(tmp_path: Path, place: Place) -> None:
    collector = Collector()
    collector.start()
    place.config.write_text(
        place.config.read_text().replace(
            "[process]",
            f'[telemetry]\nendpoint = "{collector.endpoint}"\n'
            f'[process]\nadmin_token = "{ADMIN["authorization"].split()[1]}"\nlog_level = "DEBUG"',
        )
    )
    key = tmp_path / "site.key"
    key.write_text(secrets.token_hex(32))
    processes = {name: Process(name, tmp_path, place.config, key) for name in SERVICES}
    try:
        for process in processes.values():
            process.start()
        submission_id = _send(processes["portal"].url, processes["upload"].url)
        with httpx.Client(base_url=processes["portal"].url, headers=ADMIN, trust_env=False) as portal:
            Hospital.until(lambda: portal.get("/api/studies").json()["studies"])
    finally:
        for process in processes.values():
            process.stop()
        collector.stop()
    spans = {span.id: span for span in collector.spans if span.trace == submission_id}
    arrived = next(s for s in spans.values() if (s.service, s.name) == ("portal", "handle study-arrived"))
    way = [arrived]
    while way[-1].parent:
        way.append(spans[way[-1].parent])
    assert [(span.service, span.name) for span in way] == [
        ("portal", "handle study-arrived"),
        ("validate", "publish study-arrived"),
        ("validate", "handle pack-written"),
        ("validate", "publish pack-written"),
        ("validate", "task batches"),
        ("upload", "publish batch-received"),
        ("upload", "POST /api/send"),
    ]
    for name, process in processes.items():
        text = process.log.read_text()
        assert submission_id in text, name
        assert not [phi for phi in PHI if phi in text.lower()], name


def _send(portal: str, upload: str) -> str:
    with httpx.Client(headers=ADMIN, timeout=60, trust_env=False) as client:
        account = {"name": "Some Clinic", "origin": "clinic", "roles": ["send"]}
        created = client.post(f"{portal}/api/accounts", json=account).json()
        token = client.post(f"{portal}/api/tokens", json={"account": created["id"]}).json()["secret"]
        study = f"1.2.826.0.1.3680043.10.1.{secrets.randbits(60)}"
        sent = client.post(
            f"{upload}/api/send",
            files={"file": ("Quarkson.dcm", part10(image(1, study)))},
            headers={"authorization": f"Bearer {token}"},
        )
        assert sent.status_code == 201, sent.text
        return str(sent.json()["submission"])
