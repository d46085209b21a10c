"""A cluster on this machine: every service a process of its own, some twice, behind the real front."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from anteroom.client.api import Api
from tests.neighbours.engines import ACCESS_KEY, SECRET_KEY, OwnEngines
from tests.neighbours.process import free_port

ROOT = Path(__file__).parents[3]
ADMIN = "administrator-of-a-test-cluster-0123456789"
PRESENT, OLDER = "anteroom", "tests.e2e.reliability.older"
"""Programs: this release, and the one before."""
REPLICAS = {"upload": 1, "validate": 2, "match": 1, "portal": 1, "view": 1, "forward": 2, "notify": 2}
_DRAIN_S = 60


@dataclass
class Process:
    """One replica. `process` is None while it is down on purpose."""

    service: str
    program: str
    arguments: list[str]
    log: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None
    killed: int = 0
    drained: int = 0
    ended_itself: list[int] = field(default_factory=list)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.program, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
            )

    def upgrade(self) -> None:
        """From its next start on it is of this release."""
        self.program = PRESENT

    def kill(self) -> None:
        """SIGKILL it with its helper processes."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def drain(self) -> float:
        """SIGTERM; returns the seconds it took to end. Raises AssertionError when it does not."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(_DRAIN_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.service} did not end within {_DRAIN_S} s of SIGTERM") from None
        assert code == 0, f"{self.service} ended with {code} on SIGTERM; see {self.log}"
        self.process = None
        return time.monotonic() - began

    def ready(self) -> bool:
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=10, trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == 200


class Cluster:
    """`processes` are kept running by `supervise`, as a scheduler does, except while they are `held`."""

    def __init__(
        self,
        folder: Path,
        engines: OwnEngines,
        config: str,
        *,
        partitions: int = 4,
        program: Callable[[str, int], str] = lambda service, index: PRESENT,
    ) -> None:
        """`program` names the module that is run for a service's process of that number."""
        folder.mkdir(parents=True)
        self.folder = folder
        self.hl7_port, self.dicom_port = free_port(), free_port()
        (folder / "site.key").write_text("6b" * 32)
        self.config = folder / "anteroom.toml"
        self.config.write_text(_settings(folder, engines, partitions) + config)
        self.processes = [
            self._process(service, index, program(service, index))
            for service, count in REPLICAS.items()
            for index in range(count)
        ]
        self._lock = threading.Lock()
        self._held: set[int] = set()
        self._spared: set[int] = set()
        self._ending = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor")
        self.url = ""
        """Of the front, once there is one."""

    @property
    def ports(self) -> dict[str, int]:
        """Of the first process of each service, for the front; `dicom` is the set that spools."""
        found: dict[str, int] = {}
        for process in self.processes:
            found.setdefault(process.service, process.port)
        return {**found, "dicom": found["upload"]}

    def start(self) -> None:
        for process in self.processes:
            process.start()
        self._supervisor.start()
        self.until_ready()

    def until_ready(self, within: float = 180) -> None:
        self._until_ready(self.processes, within)

    def _until_ready(self, processes: Sequence[Process], within: float) -> None:
        until = time.monotonic() + within
        while waiting := unready(processes):
            if time.monotonic() > until or any(len(one.ended_itself) >= 3 for one in waiting):
                raise AssertionError(f"not ready: {', '.join(str(one.log) for one in waiting)}")
            time.sleep(0.3)

    def stop(self) -> None:
        self._ending.set()
        if self._supervisor.is_alive():
            self._supervisor.join()
        for process in self.processes:
            process.kill()

    def kill(self, process: Process) -> None:
        """Ended like by a power cut; the supervisor starts it again."""
        with self._lock:
            if process.process is not None and id(process) not in self._held | self._spared:
                process.kill()
                process.killed += 1

    def drain(self, process: Process, change: Callable[[], None] = lambda: None) -> float:
        """Ended as an upgrade or a smaller scale ends it, once it is at work; started again afterwards, with
        what `change` made of it."""
        self._spared.add(id(process))
        try:
            self._until_ready([process], 180)
            with self._lock:
                self._held.add(id(process))
            seconds = process.drain()
            change()
            process.drained += 1
        finally:
            self._held.discard(id(process))
            self._spared.discard(id(process))
        return seconds

    def api(self, token: str = ADMIN) -> Api:
        return Api(self.url, token, timeout=30)

    def _supervise(self) -> None:
        while not self._ending.wait(0.2):
            with self._lock:
                for process in self.processes:
                    if id(process) in self._held or self._ending.is_set():
                        continue
                    if process.process is not None and (code := process.process.poll()) is not None:
                        process.ended_itself.append(code)
                        process.process = None
                    if process.process is None:
                        process.start()

    def _process(self, service: str, index: int, program: str) -> Process:
        name = f"{service}-{index}"
        port = free_port()
        dicom = self.dicom_port if service == "upload" else -1
        hl7 = self.hl7_port if service == "match" else 0
        arguments = ["run", service, "--config", str(self.config)]
        arguments += ["--data", str(self.folder / name), "--http-port", str(port)]
        arguments += ["--dicom-port", str(dicom), "--hl7-port", str(hl7)]
        return Process(service, program, arguments, self.folder / f"{name}.log", port)


def unready(processes: Sequence[Process]) -> list[Process]:
    with ThreadPoolExecutor(len(processes)) as pool:
        answers = list(pool.map(Process.ready, processes))
    return [process for process, ready in zip(processes, answers, strict=True) if not ready]


def _settings(folder: Path, engines: OwnEngines, partitions: int) -> str:
    return f"""
[process]
workers = 1
key_file = "{folder / "site.key"}"
admin_token = "{ADMIN}"
[http]
behind_proxy = true
[kafka]
servers = "127.0.0.1:{engines.ports["kafka"]}"
partitions = {partitions}
[mongo]
url = "mongodb://127.0.0.1:{engines.ports["mongo"]}"
timeout_s = 5
[s3]
endpoint = "127.0.0.1:{engines.ports["s3"]}"
access_key = "{ACCESS_KEY}"
secret_key = "{SECRET_KEY}"
secure = false
timeout_s = 10
"""


def listed(api: Api, path: str, key: str, **query: Any) -> list[dict[str, Any]]:
    """All pages of a list."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = api.get(path, cursor=cursor, **query)
        found += page[key]
        cursor = page.get("cursor")
        if not cursor:
            return found
