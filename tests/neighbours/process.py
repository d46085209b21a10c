"""Starting and ending a neighbour's process."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

_DEBIAN = "/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin"


def binary(name: str, package: str) -> str:
    """The system's program of that name (never one of the virtual environment, which may have a
    namesake). Skips when it is absent, fails when CI is set."""
    path = shutil.which(name, path=_DEBIAN)
    if path is None:
        missing(f"{name} is not installed (Debian: {package})")
        raise AssertionError("unreachable")
    return path


def missing(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"in CI every neighbour must be there: {reason}")
    pytest.skip(reason)


def free_port() -> int:
    """Below those that clients get for their connections: a server that is killed finds it free again."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class NeighbourProcess:
    """One child process whose output goes to a log file."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._command = list(command)
        self._log = log
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, ready: Callable[[], bool], *, within: float = 60) -> None:
        """Start, then wait until `ready()` is true. Raises AssertionError with the end of the log."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )
        until = time.monotonic() + within
        while not ready():
            ended = self._process.poll() is not None
            if ended or time.monotonic() > until:
                self.stop()
                end = self._log.read_text(errors="replace")[-2000:]
                raise AssertionError(f"{self._command[0]} {'ended' if ended else 'was not ready'}:\n{end}")
            time.sleep(0.02)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End it as a power cut would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def pause(self) -> None:
        """Make it hang: the kernel still takes connections, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


def listens(port: int) -> bool:
    """Whether something listens there, seen without connecting: some servers count or log a
    connection that says nothing."""
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[1].endswith(wanted) and fields[3] == "0A":
                return True
    return False
