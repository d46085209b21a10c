"""A whole Anteroom in a process of its own, and its command line."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ANTEROOM = [sys.executable, "-c", "from anteroom.cli import main; main()"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def command(*arguments: object) -> list[str]:
    return [*ANTEROOM, *map(str, arguments)]


def killed(arguments: list[str], after: float) -> bool:
    """Run it and kill it after that many seconds; False when it ended well before."""
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        out, _ = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True
    assert process.returncode == 0, out
    return False


@dataclass
class Server:
    """`anteroom up` on loopback; the same HTTP port after every start."""

    folder: Path
    port: int = field(default_factory=free_port)
    hl7_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        config = self.folder / "anteroom.toml"
        if not config.exists():
            config.write_text('[match]\nhl7_host = "127.0.0.1"\n')
        command = [
            *ANTEROOM,
            "up",
            "--config",
            str(config),
            "--data",
            str(self.data),
            "--http-port",
            str(self.port),
        ]
        log = (self.folder / "log").open("ab")
        command += ["--dicom-port", "0", "--hl7-port", str(self.hl7_port)]
        self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        log.close()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            if (self.data / "server.json").exists() and self._answers():
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text()[-4000:])

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """The whole process tree, with SIGKILL."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def command(self, *arguments: object) -> list[str]:
        return [*ANTEROOM, str(arguments[0]), "--data", str(self.data), *map(str, arguments[1:])]

    def group(self, *arguments: object) -> list[str]:
        """For `account` and `destination`, whose options stand behind the sub-command."""
        return [*ANTEROOM, *map(str, arguments[:2]), "--data", str(self.data), *map(str, arguments[2:])]


@dataclass(frozen=True)
class Answer:
    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


def run(command: list[str], *, stdin: str = "", env: dict[str, str] | None = None) -> Answer:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ANTEROOM_")}
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=180,
        env={**clean, **(env or {})},
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Answer(done.returncode, done.stdout, done.stderr)
