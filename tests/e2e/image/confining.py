"""A process as a container of k8s/ confines it, by the kernel's own means: a root that can't be written, a
user without name or capabilities, /tmp and the data folder alone to write to."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

USER = 10001
_NOBODY = f"setpriv --reuid {USER} --regid {USER} --clear-groups"
DATA, CODE, KEYS = "/mnt/data", "/mnt/code", "/mnt/keys"


def must_be_possible() -> None:
    """Skips the test where namespaces can't be made."""
    able = os.geteuid() == 0 and shutil.which("unshare") and shutil.which("setpriv")
    if not able or subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("making mount namespaces needs root, unshare and setpriv")


def command(installed: Path, keys: Path, environment: dict[str, str], *arguments: str) -> list[str]:
    """Runs `anteroom ARGUMENTS` out of the installed package. Mounts are seen by that process alone."""
    base = Path(sys.base_prefix)
    top = Path("/", *base.parts[1:2])
    script = f"""
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 none /mnt
mkdir {CODE} {KEYS} {DATA} /mnt/python
mount --bind {shlex.quote(str(installed))} {CODE}
mount --bind {shlex.quote(str(keys))} {KEYS}
mount --bind {shlex.quote(str(base))} /mnt/python
mount -t tmpfs -o mode=700,uid={USER},gid={USER} none {DATA}
if ! {_NOBODY} test -x {shlex.quote(str(base))}/bin; then
  mount -t tmpfs -o mode=755 none {top}
  mkdir -p {shlex.quote(str(base))}
  mount --bind /mnt/python {shlex.quote(str(base))}
  mount -o remount,ro {top}
fi
mount -t tmpfs -o mode=1777 none /tmp
mount -o remount,bind,ro {CODE}
mount -o remount,bind,ro {KEYS}
mount -o remount,ro /mnt
mount -o remount,bind,ro /
cd {DATA}
exec {_NOBODY} --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
"""
    pairs = [f"{name}={value}" for name, value in environment.items()]
    inner = ["env", "-i", "PATH=/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1", *pairs]
    return [
        *("unshare", "-m", "sh", "-c", script, "confined"),
        *(*inner, f"{CODE}/bin/python", "-m", "anteroom", *arguments),
    ]


class Confined:
    """A service that runs so. Everything it started ends with it."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            command, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True
        )

    def status(self, field: str) -> str:
        """A line of the kernel's own account of the process."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{field}:"))

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def end(self) -> int:
        """As a cluster does: SIGTERM, and a while to finish."""
        if self.running:
            self._process.terminate()
        try:
            return self._process.wait(90)
        finally:
            self.kill()

    def kill(self) -> None:
        if self.running:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
        self._log.close()
