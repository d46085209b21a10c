"""Services on the real engines, each a process on loopback, with topics, database and bucket of their own."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from anteroom.cluster import open_cluster
from anteroom.settings import Settings, load
from bench.servers import free_port
from kit.bus.kafka_settings import KafkaSettings, remove_topics
from scripts.engines.__main__ import ROOT, main
from scripts.engines.run import ACCESS_KEY, SECRET_KEY, ports

ADMIN = "administrator-of-a-measured-cluster-0123456789"
ENGINES = ("kafka", "mongo", "s3")


def engines() -> dict[str, int]:
    """Their ports; those that do not run are started, and stay."""
    for name in ENGINES:
        if name not in ports(ROOT) and main(["up", name]):
            raise SystemExit(f"{name} does not run, so nothing was measured on the engines")
    return ports(ROOT)


@dataclass
class Process:
    service: str
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.service} ended with {self.process.returncode}")
        try:
            return httpx.get(f"{self.url}/readyz", timeout=10, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@dataclass
class Cluster:
    """`more` is text of the settings file beside that of the engines."""

    folder: Path
    more: str = ""
    partitions: int = 16
    name: str = field(default_factory=lambda: f"bench-{secrets.token_hex(5)}")
    running: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        found = engines()
        (self.folder / "site.key").write_text("6b" * 32)
        self.config = self.folder / "anteroom.toml"
        self.config.write_text(f"""
[process]
workers = 1
key_file = "{self.folder / "site.key"}"
admin_token = "{ADMIN}"
[kafka]
servers = "127.0.0.1:{found["kafka"]}"
prefix = "{self.name}-"
partitions = {self.partitions}
[mongo]
url = "mongodb://127.0.0.1:{found["mongo"]}"
database = "{self.name}"
[s3]
endpoint = "127.0.0.1:{found["s3"]}"
bucket = "{self.name}"
access_key = "{ACCESS_KEY}"
secret_key = "{SECRET_KEY}"
secure = false
{self.more}
""")

    @property
    def settings(self) -> Settings:
        return load(self.config)

    def start(self, *services: str) -> list[Process]:
        """One process each, all ready on return."""
        started = [self._process(service) for service in services]
        self.running += started
        while not all(one.ready() for one in started):
            time.sleep(0.1)
        return started

    def stop(self, processes: Sequence[Process]) -> None:
        """Drain them, as a smaller scale does."""
        for one in processes:
            one.process.send_signal(signal.SIGTERM)
        for one in processes:
            one.process.wait(60)
            self.running.remove(one)

    def kill(self) -> None:
        for one in self.running:
            with suppress(ProcessLookupError):
                os.killpg(one.process.pid, signal.SIGKILL)
            one.process.wait()
        self.running.clear()

    async def remove(self) -> None:
        """Take its topics, documents and objects away: thousands of partitions that nobody reads slow Kafka
        down for whoever measures next."""
        settings = self.settings
        await remove_topics(KafkaSettings(**settings.kafka.model_dump()))
        opened = open_cluster(settings, self.folder / "removing")
        await opened.mongo.database.client.drop_database(self.name)
        await asyncio.to_thread(opened.objects.ensure_bucket)
        for found in [*opened.objects.list("")]:
            opened.objects.delete(found.key)
        await opened.close()

    def cpu_seconds(self) -> float:
        """Of the services that run, with their helpers."""
        found = 0.0
        for one in self.running:
            main_process = psutil.Process(one.process.pid)
            for process in (main_process, *main_process.children(recursive=True)):
                found += sum(process.cpu_times()[:2])
        return found

    def _process(self, service: str) -> Process:
        port = free_port()
        folder = self.folder / f"{service}-{port}"
        command = [sys.executable, "-m", "anteroom", "run", service, "--config", str(self.config)]
        command += ["--data", str(folder), "--http-port", str(port), "--dicom-port", "-1", "--hl7-port", "0"]
        with (self.folder / f"{service}.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        return Process(service, port, process)


@contextmanager
def cluster(folder: Path, more: str = "") -> Iterator[Cluster]:
    found = Cluster(folder, more)
    try:
        yield found
    finally:
        found.kill()
        asyncio.run(found.remove())


def engine_cpu_seconds() -> float:
    """Of the engines, since each began."""
    numbers = {int(port) for port in engines().values()}
    found = 0.0
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port in numbers and connection.pid:
            numbers.discard(connection.laddr.port)
            found += sum(psutil.Process(connection.pid).cpu_times()[:2])
    return found
