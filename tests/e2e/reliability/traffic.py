"""Everybody at work while things break: senders, the hospital's HL7 feed, a modality, and who approves.

Each goes on until what it sends was accepted, as real senders do, and writes down what was promised to it.
"""

import asyncio
import queue
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from anteroom.client.api import ApiError, ClientError
from anteroom.client.files import select
from anteroom.client.submission import Wishes, send
from kit.errors import Unavailable
from kit.hl7.client import MllpClient
from tests.e2e.people import announcement
from tests.e2e.reliability.parcels import Parcel, images, parcel
from tests.e2e.reliability.processes import Cluster, listed
from tests.neighbours.process import binary

DICOM = "dicom"
_PATIENCE_S = 600
_IMAGES_OF_MODALITY = 5


@dataclass(frozen=True)
class Sent:
    """A submission that was closed: every file of it was accepted."""

    label: str
    submission: str
    parcel: Parcel

    @property
    def recipient(self) -> str:
        return recipient(self.label)


def recipient(label: str) -> str:
    return f"{label.lower()}@physicians.example"


@dataclass
class Promised:
    """What was promised to whom."""

    sent: list[Sent] = field(default_factory=list)
    studies: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Study Instance UID to patient's label and instances."""
    announced: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, label: str, studies: dict[str, int], sent: Sent | None = None) -> None:
        with self.lock:
            self.studies |= {uid: (label, count) for uid, count in studies.items()}
            if sent is not None:
                self.sent.append(sent)


class _Nobody:
    def sent(self, size: int) -> None: ...
    def files_done(self, count: int) -> None: ...
    def waiting(self, reason: str) -> None: ...


class Traffic:
    def __init__(self, cluster: Cluster, folder: Path, tokens: list[str]) -> None:
        self.promised = Promised()
        self._cluster = cluster
        self._folder = folder
        self._tokens = tokens
        self._work: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._stop_approving = threading.Event()
        self._senders: list[threading.Thread] = []
        self._approver = threading.Thread(target=self._approve, name="approver")
        self.total = 0

    def start(self, wanted: list[tuple[str, str]], senders: int) -> None:
        """Send all of (label, kind), so many at a time."""
        self.total += len(wanted)
        for item in wanted:
            self._work.put(item)
        if not self._approver.is_alive():
            self._approver.start()
        self._senders = [
            threading.Thread(target=self._send_all, args=(number,), name=f"sender-{number}")
            for number in range(senders)
        ]
        for thread in self._senders:
            thread.start()

    @property
    def done(self) -> bool:
        return not any(thread.is_alive() for thread in self._senders)

    @property
    def left(self) -> int:
        return self._work.qsize()

    def join(self) -> None:
        for thread in self._senders:
            thread.join()

    def stop(self) -> None:
        """Nobody approves any more."""
        while not self._work.empty():
            self._work.get_nowait()
        self.join()
        self._stop_approving.set()
        if self._approver.is_alive():
            self._approver.join()

    def _send_all(self, number: int) -> None:
        while True:
            try:
                label, kind = self._work.get_nowait()
            except queue.Empty:
                return
            try:
                asyncio.run(self._announce(label))
                if kind == DICOM:
                    self._send_over_dicom(label)
                else:
                    self._send_over_http(label, kind, self._tokens[number % len(self._tokens)])
            except (ClientError, TimeoutError, subprocess.TimeoutExpired) as error:
                with self.promised.lock:
                    self.promised.problems.append(f"{kind} {label}: {type(error).__name__} {error}")

    def _send_over_http(self, label: str, kind: str, token: str) -> None:
        made = parcel(kind, self._folder, label)
        wishes = Wishes(recipients=(recipient(label),))
        with self._cluster.api(token) as api:
            sent = send(api, select([made.folder]), wishes, _Nobody(), connections=2, patience=_PATIENCE_S)
        self.promised.note(label, made.studies, Sent(label, sent.submission_id, made))

    def _send_over_dicom(self, label: str) -> None:
        """Until storescu says that every image was taken."""
        study, files = images(self._folder / label, label, _IMAGES_OF_MODALITY)
        command = [binary("storescu", "dcmtk"), "-aet", "MODALITY", "-aec", "ANTEROOM", "-to", "5"]
        command += ["-td", "20", "127.0.0.1", str(self._cluster.dicom_port), *map(str, files)]
        until = time.monotonic() + _PATIENCE_S
        while subprocess.run(command, capture_output=True, check=False, timeout=120).returncode:
            if time.monotonic() > until:
                raise TimeoutError("the DICOM door took nothing")
            time.sleep(0.5)
        self.promised.note(label, {study: len(files)})

    async def _announce(self, label: str) -> None:
        """Until the feed's door acknowledged the patient."""
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                try:
                    async with MllpClient("127.0.0.1", self._cluster.hl7_port, timeout=15) as client:
                        answer = await client.send(announcement(label))
                except Unavailable:
                    await asyncio.sleep(0.5)
                    continue
                if answer.code == "AA":
                    with self.promised.lock:
                        self.promised.announced.append(label)
                    return
                await asyncio.sleep(0.5)

    def _approve(self) -> None:
        """Whatever waits for a person and has its patient is approved as it is seen."""
        while not self._stop_approving.wait(0.5):
            try:
                with self._cluster.api() as api:
                    for case in listed(api, "/api/studies", "studies", state="review", limit=200):
                        detail = api.get(f"/api/studies/{case['id']}")
                        seen = {name: detail[name] for name in ("study_revision", "match_revision")}
                        body = {**seen, "action": "approve", "target": "match"}
                        api.post(f"/api/studies/{case['id']}/decision", body)
            except ApiError as error:
                if not error.passing and error.code != "stale":
                    with self.promised.lock:
                        self.promised.problems.append(f"approving: {error}")
            except ClientError:
                continue
