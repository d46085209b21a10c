"""nginx with the front's file, as it runs before the services."""

import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.neighbours.process import binary
from tests.unit.k8s.fronting import CONF


@dataclass(frozen=True)
class Front:
    url: str
    error_log: Path


@contextmanager
def fronting(ports: dict[str, int], folder: Path) -> Iterator[Front]:
    """nginx with the file as it is, but for addresses and places to write."""
    program = binary("nginx", "nginx-light")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = CONF.read_text().replace("listen 8080;", f"listen 127.0.0.1:{port};")
    text = text.replace("/tmp/", f"{folder}/").replace("/dev/stderr", str(folder / "error.log"))
    text = re.sub(r"server (\w+):8080;", lambda found: f"server 127.0.0.1:{ports[found[1]]};", text)
    (folder / "nginx.conf").write_text(text)
    own = "user root; " if os.geteuid() == 0 else ""
    process = subprocess.Popen(
        [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", f"{own}daemon off;"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        front = Front(f"http://127.0.0.1:{port}", folder / "error.log")
        for _ in range(200):
            if process.poll() is not None:
                assert process.stderr is not None
                raise AssertionError(process.stderr.read().decode())
            try:
                socket.create_connection(("127.0.0.1", port), timeout=0.1).close()
                break
            except OSError:
                threading.Event().wait(0.02)
        yield front
    finally:
        process.terminate()
        process.communicate(timeout=20)
