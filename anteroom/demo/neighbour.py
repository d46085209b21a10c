"""Which PACS stands beside the demo: Orthanc where it is installed, else the small one that comes along."""

import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from anteroom.demo import orthanc
from anteroom.demo.ports import free_port


class Pacs(Protocol):
    """`title` for people; `look` says where a person can look at what arrived."""

    title: str
    look: str
    ae_title: str
    port: int

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass
class OrthancPacs:
    folder: Path
    report_ae: str
    report_port: int
    title: str = "Orthanc"
    ae_title: str = "ORTHANC"
    port: int = 0
    look: str = ""

    def start(self) -> None:
        modality = orthanc.Modality(self.report_ae, "127.0.0.1", self.report_port)
        self._process = orthanc.Orthanc(
            self.folder, http_port=free_port(), dicom_port=free_port(), modalities=(modality,)
        )
        self._process.start()
        self.port = self._process.dicom_port
        self.look = f"{self._process.url}/app/explorer.html"

    def stop(self) -> None:
        self._process.stop()


@dataclass
class SmallPacs:
    folder: Path
    report_ae: str
    report_port: int
    title: str = "a small demo PACS (Orthanc is not installed)"
    ae_title: str = "DEMOPACS"
    port: int = 0
    look: str = ""

    def start(self) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "anteroom.demo.pacs", "--port", str(self.port)]
        command += ["--folder", str(self.folder), "--ae-title", self.ae_title]
        command += ["--report-to", f"127.0.0.1:{self.report_port}:{self.report_ae}"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        if "ready" not in self._process.stdout.readline():
            self.stop()
            raise RuntimeError("the demo PACS did not start")
        # What it says later is of no interest, but must not fill the pipe: it would stand still then.
        threading.Thread(target=_drain, args=(self._process.stdout,), daemon=True).start()
        self.look = f"the files in {self.folder}"

    def stop(self) -> None:
        """Killed when it does not go within ten seconds."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _drain(stream: TextIO) -> None:
    with stream:
        for _ in stream:
            pass


def choose(folder: Path, report_ae: str, report_port: int) -> Pacs:
    kind = SmallPacs if orthanc.executable() is None else OrthancPacs
    return kind(folder, report_ae, report_port)
