"""A real clamd that knows one signature: the EICAR test file."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.neighbours.process import NeighbourProcess, binary, free_port

# Kept in pieces, so that no scanner takes this file for the thing itself.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"


@dataclass
class Clamd:
    """`process.stop()` and `start()` take it away and bring it back on the same port;
    `process.pause()` makes it hang."""

    host: str
    port: int
    process: NeighbourProcess

    def start(self) -> None:
        self.process.start(self._answers)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=2) as connection:
                connection.sendall(b"zPING\0")
                return connection.recv(16).startswith(b"PONG")
        except OSError:
            return False


@pytest.fixture(scope="session")
def clamd_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clamd]:
    program = binary("clamd", "clamav-daemon")
    folder = tmp_path_factory.mktemp("clamd")
    database = folder / "db"
    database.mkdir()
    (database / "test.ndb").write_text(f"Test.Eicar:0:*:{EICAR.hex()}\n")
    clamd = Clamd("127.0.0.1", free_port(), NeighbourProcess([], log=folder / "clamd.log"))
    settings = [
        f"DatabaseDirectory {database}",
        f"TCPSocket {clamd.port}",
        "TCPAddr 127.0.0.1",
        "Foreground yes",
        "StreamMaxLength 64M",
        "MaxScanSize 64M",
        "MaxFileSize 64M",
        # It asks for UnRAR and friends otherwise, and complains of no freshclam.
        "SelfCheck 3600",
        *(["User root"] if os.geteuid() == 0 else []),
    ]
    configuration = folder / "clamd.conf"
    configuration.write_text("\n".join(settings) + "\n")
    clamd.process = NeighbourProcess([program, "--config-file", str(configuration)], log=folder / "clamd.log")
    clamd.start()
    yield clamd
    clamd.process.stop()


@pytest.fixture
def clamd(clamd_session: Clamd) -> Iterator[Clamd]:
    """Running at the start of every test, whatever an earlier one did to it."""
    if not clamd_session.process.running:
        clamd_session.start()
    yield clamd_session
    if clamd_session.process.running:
        clamd_session.process.go_on()
