"""Clean PACSs: a real Orthanc and a real DCMTK storescp."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.neighbours.process import NeighbourProcess, binary, free_port, listens, missing

if TYPE_CHECKING:
    from anteroom.demo.orthanc import Modality, Orthanc


class StartOrthanc(Protocol):
    """`modalities`: the DICOM neighbours it reports storage commitment to; more may be registered
    while it runs. `settings` are added to its configuration."""

    def __call__(
        self, modalities: "Sequence[Modality]" = (), settings: dict[str, Any] | None = None
    ) -> "Orthanc": ...


@pytest.fixture
def start_orthanc(tmp_path: Path) -> Iterator[StartOrthanc]:
    # Loaded on use: these fixtures are a plug-in of every test run.
    from anteroom.demo import orthanc as demo

    started: list[Orthanc] = []

    def start(modalities: "Sequence[Modality]" = (), settings: dict[str, Any] | None = None) -> "Orthanc":
        if demo.executable() is None:
            missing("Orthanc is not installed (Debian: orthanc orthanc-dicomweb)")
        pacs = demo.Orthanc(
            folder=tmp_path / f"orthanc-{len(started)}",
            http_port=free_port(),
            dicom_port=free_port(),
            modalities=modalities,
            settings=settings or {},
        )
        pacs.start()
        started.append(pacs)
        return pacs

    yield start
    for pacs in started:
        # Its folder goes with the test: an orderly end would only cost seconds.
        pacs.kill()


@pytest.fixture
def orthanc(start_orthanc: StartOrthanc) -> "Orthanc":
    """An empty Orthanc. Storage commitment reports need `orthanc.register(Modality(ae, host, port))`."""
    return start_orthanc()


@dataclass
class Storescp:
    """DCMTK's receiver; `received()` are the files it has, as the wire gave them (bit-preserving)."""

    host: str
    port: int
    ae_title: str
    folder: Path
    process: NeighbourProcess

    def received(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if path.is_file())

    def start(self) -> None:
        """Also again, on the same port and folder, after `process.stop()` or `process.kill()`."""
        self.process.start(lambda: listens(self.port))


StartStorescp = Callable[..., Storescp]


@pytest.fixture
def start_storescp(tmp_path: Path) -> Iterator[StartStorescp]:
    """`start_storescp("--abort-during", …)`: further arguments go to the command line.

    Useful ones: --refuse, --abort-after, --abort-during, --sleep-during N, -xf FILE PROFILE (to
    limit transfer syntaxes; leave out +xa by `accept_all=False`), +tls KEY CERT, +cf CA.
    """
    started: list[Storescp] = []

    def start(*arguments: str, accept_all: bool = True, port: int | None = None) -> Storescp:
        program = binary("storescp", "dcmtk")
        number = len(started)
        folder = tmp_path / f"storescp-{number}"
        folder.mkdir()
        port = port or free_port()
        command = [program, "-od", str(folder), "-aet", "STORESCP", "-pdu", "131072", "+B", "-dhl"]
        # -pm: a storage class DCMTK does not know is no reason to refuse.
        command += ["-pm", "+xa"] if accept_all else []
        command += [*arguments, str(port)]
        process = NeighbourProcess(command, log=tmp_path / f"storescp-{number}.log", env={"TCP_NODELAY": "1"})
        scp = Storescp("127.0.0.1", port, "STORESCP", folder, process)
        scp.start()
        started.append(scp)
        return scp

    yield start
    for scp in started:
        scp.process.stop()


@pytest.fixture
def storescp(start_storescp: StartStorescp) -> Storescp:
    return start_storescp()
