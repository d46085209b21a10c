"""A whole Anteroom at debug level, with all that watches it, and a patient whose data are easy to find."""

import asyncio
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson

from anteroom.client.api import Api
from anteroom.demo.mail import MailCatcher
from schemas.shapes import Demographics, Order
from tests.component.cli.server import Server
from tests.neighbours.collector import Collector
from tests.neighbours.process import NeighbourProcess, free_port, listens

PATIENT = Demographics(
    patient_id="PHI-7730415", issuer="OUTSIDE", name="Quarkson^Zebulon", birth_date="19310207", sex="M"
)
LOCAL = PATIENT.model_copy(update={"patient_id": "HOS-6618203", "issuer": "HOSPITAL"})
ORDER = Order(accession_number="ACC-9913377", modality="CT", placer_order_number="PLC-4402117")
PASSWORD = "wrong-Vexillology-42"
NOTE = "Mr Grumbleshaw asks for a second opinion"
PHI = (
    *("quarkson", "zebulon", "phi-7730415", "hos-6618203", "19310207", "1931-02-07"),
    *("acc-9913377", "foreign-5501", "plc-4402117", "grumbleshaw", "vexillology"),
)
"""In small letters: names, numbers, dates, what file names and notes hold, and a password."""


@dataclass
class Hospital:
    folder: Path
    collector: Collector = field(default_factory=Collector)
    server: Server = field(init=False)
    pacs_port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)

    def open(self) -> None:
        self.collector.start()
        command = [sys.executable, "-m", "anteroom.demo.pacs", "--port", str(self.pacs_port)]
        command += ["--folder", str(self.folder / "pacs"), "--ae-title", "DEMOPACS"]
        command += ["--report-to", f"127.0.0.1:{free_port()}:ANTEROOM"]
        self._pacs = NeighbourProcess(command, log=self.folder / "pacs.log")
        self.mail = MailCatcher(self.folder / "mail")
        self._loop = asyncio.new_event_loop()
        self._post = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._post.start()
        asyncio.run_coroutine_threadsafe(self.mail.start(), self._loop).result(10)
        self.server = Server(self.folder)
        (self.folder / "anteroom.toml").write_text(self._config())
        self.server.start()

    def close(self) -> None:
        """All that waits in memory is sent: spans too."""
        self.server.stop()
        self._pacs.stop()
        asyncio.run_coroutine_threadsafe(self.mail.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._post.join()
        self._loop.close()
        self.collector.stop()

    def _config(self) -> str:
        return f"""
[process]
log_level = "DEBUG"
[site]
default_issuer = "HOSPITAL"
[telemetry]
endpoint = "{self.collector.endpoint}"
headers = {{ authorization = "Bearer of-the-collector" }}
metrics_port = {self.metrics_port}
[upload]
quiet_s = 2
idle_s = 0.3
[match]
hl7_host = "127.0.0.1"
[notify]
combine_s = 0
staff = [{{ name = "File room", email = "fileroom@hospital.example" }}]
[notify.email]
host = "127.0.0.1"
port = {self.mail.port}
tls = "none"
sender = "anteroom@hospital.example"
[[destinations]]
id = "pacs"
host = "127.0.0.1"
port = {self.pacs_port}
called_ae = "DEMOPACS"
commitment = false
[[accounts]]
id = "clinic"
name = "Some Clinic"
email = "office@clinic.example"
roles = ["send"]
destinations = ["pacs"]
ae_titles = ["CLINIC"]
addresses = ["127.0.0.0/8"]
"""

    def pacs_start(self) -> None:
        self._pacs.start(lambda: listens(self.pacs_port))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def admin(self) -> Api:
        return Api(self.url, (self.server.data / "admin.token").read_text().strip())

    def clinic(self) -> Api:
        with self.admin as admin:
            return Api(self.url, admin.post("/api/tokens", {"account": "clinic"})["secret"])

    def dicom_port(self) -> int:
        line = next(one for one in self.log() if "DICOM door listens" in one["message"])
        return int(line["message"].rpartition(":")[2])

    def metrics(self) -> str:
        answer = httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=20, trust_env=False)
        assert answer.status_code == 200
        return answer.text

    def public_metrics(self) -> tuple[int, int]:
        token = (self.server.data / "admin.token").read_text().strip()
        asked = ({}, {"authorization": f"Bearer {token}"})
        first, second = (
            httpx.get(f"{self.url}/metrics", headers=headers, timeout=20, trust_env=False).status_code
            for headers in asked
        )
        return first, second

    def raw_log(self) -> str:
        return (self.folder / "log").read_text()

    def log(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.raw_log().splitlines() if line.startswith("{")]

    def events(self) -> list[tuple[str, bytes]]:
        """(topic, body) of all that was published; once the server has stopped."""
        with sqlite3.connect(self.server.data / "anteroom.db") as connection:
            return list(connection.execute("SELECT topic, body FROM log ORDER BY seq"))

    @staticmethod
    def until(condition: Callable[[], Any], seconds: float = 90) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.1)
        raise AssertionError("waited too long")
