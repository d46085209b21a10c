"""`anteroom up` as a process of its own that can be killed like by a power cut and started again."""

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import httpx

from anteroom.client.api import Api
from tests.neighbours.process import NeighbourProcess, free_port

ROOT = Path(__file__).parents[2]


class Server:
    """Keeps its ports and its data folder over restarts."""

    def __init__(self, folder: Path, config: str = "") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data"
        self.http_port, self.dicom_port, self.hl7_port = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        (folder / "anteroom.toml").write_text(config)
        self.log = folder / "anteroom.log"
        command = [sys.executable, "-m", "anteroom", "up", "--data", str(self.data)]
        command += ["--config", str(folder / "anteroom.toml"), "--http-port", str(self.http_port)]
        command += ["--dicom-port", str(self.dicom_port), "--hl7-port", str(self.hl7_port)]
        self._process = NeighbourProcess(command, log=self.log, cwd=ROOT)
        self._pid = 0

    def start(self) -> None:
        self._process.start(self._ready)
        self._pid = self._process.pid

    def kill(self) -> None:
        """SIGKILL the whole process tree at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        self._process.kill()

    def stop(self) -> None:
        self._process.stop()

    @property
    def token(self) -> str:
        return (self.data / "admin.token").read_text().strip()

    def api(self, token: str | None = None) -> Api:
        return Api(self.url, token or self.token, timeout=30)

    def sender(self, **fields: Any) -> str:
        """Make a sender account; returns a token of it."""
        with self.api() as api:
            account = api.post("/api/accounts", {"roles": ["send"], **fields})
            secret: str = api.post("/api/tokens", {"account": account["id"]})["secret"]
            return secret

    def _ready(self) -> bool:
        try:
            return httpx.get(self.url + "/readyz", timeout=2, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False
