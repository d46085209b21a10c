"""Orthanc as the clean PACS of the demo and of the tests: a real one, on loopback, in a folder."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

_PLUGINS = Path("/usr/share/orthanc/plugins")
_READY_S = 30.0


def executable() -> str | None:
    """Where Orthanc is, or None. Debian puts it into sbin, which is not on everybody's PATH."""
    return shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True)
class Modality:
    """A DICOM neighbour that Orthanc knows: storage commitment is reported to its host and port."""

    ae_title: str
    host: str
    port: int


@dataclass
class Orthanc:
    """One Orthanc process. `settings` are added to its configuration and win."""

    folder: Path
    http_port: int
    dicom_port: int
    ae_title: str = "ORTHANC"
    modalities: Sequence[Modality] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("Orthanc is not running")
        return self._process.pid

    def start(self) -> None:
        """Start and wait until REST and DICOM answer. Raises RuntimeError with the end of its log."""
        path = executable()
        if path is None:
            raise RuntimeError("Orthanc is not installed (Debian: orthanc)")
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "orthanc.json"
        configuration.write_text(json.dumps(self._configuration(), indent=1))
        with (self.folder / "orthanc.log").open("ab") as log:
            # Without TCP_NODELAY every C-STORE waits some 40 ms (Nagle meets the delayed ACK).
            self._process = subprocess.Popen(
                [path, str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "TCP_NODELAY": "1"},
                start_new_session=True,
            )
        try:
            self._wait_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it by its pid; killed when it does not go within ten seconds."""
        process, self._process = self._process, None
        if process is None:
            return
        self._signal(process, signal.SIGTERM)
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
        """Make it hang: connections are taken by the kernel and never answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def register(self, modality: Modality) -> None:
        """Make a DICOM neighbour known while Orthanc runs."""
        body = {"AET": modality.ae_title, "Host": modality.host, "Port": modality.port}
        self._request("PUT", f"/modalities/{modality.ae_title.lower()}", content=json.dumps(body).encode())

    def study(self, study_instance_uid: str) -> dict[str, Any] | None:
        """Orthanc's own description of the study (MainDicomTags, PatientMainDicomTags), or None."""
        key = self._lookup("Study", study_instance_uid)
        found: dict[str, Any] | None = self._get(f"/studies/{key}") if key else None
        return found

    def count_instances(self, study_instance_uid: str) -> int:
        """How many instances of the study the PACS holds."""
        key = self._lookup("Study", study_instance_uid)
        return int(self._get(f"/studies/{key}/statistics")["CountInstances"]) if key else 0

    def count_all(self) -> int:
        return int(self._get("/statistics")["CountInstances"])

    def instance_file(self, sop_instance_uid: str) -> bytes | None:
        """The Part 10 file as stored, or None."""
        key = self._lookup("Instance", sop_instance_uid)
        return self._request("GET", f"/instances/{key}/file").content if key else None

    def _lookup(self, kind: str, uid: str) -> str | None:
        hits = self._request("POST", "/tools/lookup", content=uid.encode()).json()
        return next((str(hit["ID"]) for hit in hits if hit["Type"] == kind), None)

    def _get(self, path: str) -> Any:
        return self._request("GET", path).json()

    def _request(self, method: str, path: str, content: bytes | None = None) -> httpx.Response:
        # trust_env off: a proxy in the environment has no business with loopback.
        with httpx.Client(base_url=self.url, timeout=30, trust_env=False) as client:
            return client.request(method, path, content=content).raise_for_status()

    def _configuration(self) -> dict[str, Any]:
        return {
            "Name": "Demo PACS",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "index"),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": self.ae_title,
            "DicomCheckCalledAet": False,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomModalities": {
                modality.ae_title.lower(): {
                    "AET": modality.ae_title,
                    "Host": modality.host,
                    "Port": modality.port,
                    "AllowStorageCommitment": True,
                }
                for modality in self.modalities
            },
            "Plugins": [str(_PLUGINS)] if _PLUGINS.is_dir() else [],
            "DicomWeb": {"Enable": True},
            "StableAge": 1,
            **self.settings,
        }

    def _wait_ready(self) -> None:
        until = time.monotonic() + _READY_S
        while time.monotonic() < until:
            process = self._process
            if process is None or process.poll() is not None:
                raise RuntimeError(f"Orthanc ended at once:\n{self._log_end()}")
            try:
                self._get("/system")
            except (httpx.HTTPError, OSError):
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"Orthanc was not ready in time:\n{self._log_end()}")

    def _log_end(self) -> str:
        return (self.folder / "orthanc.log").read_text(errors="replace")[-2000:]

    @staticmethod
    def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
        process.send_signal(number)
        # A paused process takes no signal until it goes on.
        process.send_signal(signal.SIGCONT)
