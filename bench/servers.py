"""Anteroom and its peers as processes on loopback, each on free ports and in its own folder."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from anteroom.demo.orthanc import Orthanc

TUNED = {
    "SyncStorageArea": False,
    "StoreMD5ForAttachments": False,
    "MaximumPduLength": 131072,
    "DicomThreadsCount": 8,
    "HttpThreadsCount": 50,
}
"""Orthanc at its fastest; durability is weaker than ours then."""

NODELAY = {**os.environ, "TCP_NODELAY": "1"}


@dataclass
class Anteroom:
    data: Path
    url: str
    token: str
    http_port: int
    dicom_port: int
    hl7_port: int
    pid: int
    ready_s: float

    def get(self, path: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token}"}
        return httpx.get(self.url + path, headers=headers, timeout=60, trust_env=False)

    def processes(self) -> list[psutil.Process]:
        main = psutil.Process(self.pid)
        return [main, *main.children(recursive=True)]

    def rss_mb(self) -> list[float]:
        """Resident MB of every process, the main one first."""
        found = []
        for process in self.processes():
            try:
                found.append(process.memory_info().rss / 1e6)
            except psutil.NoSuchProcess:
                continue
        return found


@contextmanager
def anteroom(
    folder: Path, environment: Mapping[str, str] | None = None, config: str = ""
) -> Iterator[Anteroom]:
    """`anteroom up` on free ports; `config` is the text of its settings file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "anteroom.toml").write_text(config)
    http, dicom, hl7 = free_port(), free_port(), free_port()
    data = folder / "data"
    command = [sys.executable, "-m", "anteroom", "up", "--data", str(data)]
    command += ["--http-port", str(http), "--dicom-port", str(dicom), "--hl7-port", str(hl7)]
    start = time.monotonic()
    with (folder / "anteroom.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "ANTEROOM_CONFIG": str(folder / "anteroom.toml"), **(environment or {})},
        )
    try:
        url = f"http://127.0.0.1:{http}"
        wait(process, lambda: _answers(url + "/readyz"), folder / "anteroom.log")
        ready = time.monotonic() - start
        token = (data / "admin.token").read_text().strip()
        yield Anteroom(data, url, token, http, dicom, hl7, process.pid, ready)
    finally:
        end(process)


@contextmanager
def orthanc(folder: Path, *, tuned: bool = False) -> Iterator[Orthanc]:
    pacs = Orthanc(
        folder=folder, http_port=free_port(), dicom_port=free_port(), settings=TUNED if tuned else {}
    )
    pacs.start()
    try:
        yield pacs
    finally:
        pacs.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def storescp(folder: Path) -> Iterator[int]:
    """DCMTK's receiver; yields its port."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    process = subprocess.Popen(
        ["/usr/bin/storescp", "-od", str(folder), "-pdu", "131072", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=NODELAY,
        start_new_session=True,
    )
    try:
        wait(process, lambda: connects(port), None)
        yield port
    finally:
        end(process)


@contextmanager
def clamd(folder: Path) -> Iterator[int]:
    """ClamAV's daemon with one signature (no database comes along); yields its port."""
    (folder / "db").mkdir(parents=True, exist_ok=True)
    eicar = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR" + b"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
    (folder / "db" / "test.ndb").write_text(f"Test.Eicar:0:*:{eicar.hex()}\n")
    port = free_port()
    (folder / "clamd.conf").write_text(
        f"DatabaseDirectory {folder / 'db'}\nTCPSocket {port}\nTCPAddr 127.0.0.1\nStreamMaxLength 100M\n"
        "MaxScanSize 100M\nMaxFileSize 100M\nForeground yes\nUser root\n"
    )
    process = subprocess.Popen(
        ["/usr/sbin/clamd", "-c", str(folder / "clamd.conf")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait(process, lambda: connects(port), None)
        yield port
    finally:
        end(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def versions() -> dict[str, str]:
    """What stood on the other side, and how busy the machine was before it began, for the record."""
    found = {"cpus": str(os.cpu_count()), "load": f"{os.getloadavg()[0]:.1f}"}
    for package in ("orthanc", "dcmtk", "clamav-daemon"):
        run = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False
        )
        found[package] = run.stdout or "absent"
    return found


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait(process: "subprocess.Popen[bytes]", ready: object, log: Path | None) -> None:
    until = time.monotonic() + 60
    while not ready():  # type: ignore[operator]
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"did not start: {log.read_text()[-2000:] if log else process.args!r}")
        time.sleep(0.02)


def end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
