"""The whole process tree is killed at random moments, again and again, while everybody sends.

Afterwards every file sent is accounted for, every approved study is in the PACS once, and no HL7
message that was acknowledged is lost.
"""

import asyncio
import random
import subprocess
import threading
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
import pytest

from anteroom.client.api import ClientError
from anteroom.client.files import select
from anteroom.client.submission import Wishes, send
from anteroom.demo.orthanc import Modality
from bench.images import make_series
from kit.errors import Unavailable
from kit.hl7.client import MllpClient
from tests.e2e.people import announcement, birth_date_of, name_of
from tests.e2e.reliability.settings import settings_with
from tests.e2e.server import Server
from tests.neighbours.pacs import StartOrthanc
from tests.neighbours.process import binary

KILLS = 50
SENDERS = 3
DICOM_SENDERS = 2
STUDIES_EACH = 25

pytestmark = pytest.mark.slow


@dataclass
class Tally:
    """What was promised to whom while the server was being killed."""

    submissions: dict[str, int] = field(default_factory=dict)
    studies: dict[str, int] = field(default_factory=dict)
    acknowledged: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    given_up: int = 0
    problems: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Nobody:
    def sent(self, size: int) -> None: ...
    def files_done(self, count: int) -> None: ...
    def waiting(self, reason: str) -> None: ...


def _config(pacs_port: int) -> str:
    return f"""{settings_with(pacs_port, commitment_timeout_s=5)}
[notify]
off = true
"""


def _study(folder: Path, number: str, images: int) -> str:
    series = make_series(folder, images, side=64, patient=f"X{number}")
    for path in series.files:
        data = pydicom.dcmread(path)
        data.PatientName, data.PatientBirthDate = name_of(number), birth_date_of(number)
        data.save_as(path)
    (folder / "report.pdf").write_bytes(b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n")
    (folder / "broken.dcm").write_bytes(series.files[0].read_bytes()[:600])
    (folder / "viewer.exe").write_bytes(b"MZ" + zlib.crc32(number.encode()).to_bytes(4, "big") * 100)
    return series.study_uid


def _send_over_http(
    server: Server, token: str, name: str, root: Path, stop: threading.Event, tally: Tally
) -> None:
    number = 0
    while not stop.is_set() and number < STUDIES_EACH:
        number += 1
        label = f"{name}{number:03}"
        images = 6 + number % 9
        folder = root / label
        study = _study(folder, label, images)
        try:
            with server.api(token) as api:
                sent = send(api, select([folder]), Wishes(), _Nobody(), connections=2, patience=900)
        except ClientError as error:
            with tally.lock:
                tally.problems.append(f"{label}: {error}")
            continue
        with tally.lock:
            tally.submissions[sent.submission_id] = images + 3
            tally.studies[study] = images
            tally.labels.append(label)


def _send_over_dicom(server: Server, name: str, root: Path, stop: threading.Event, tally: Tally) -> None:
    """Each study is sent until storescu says that every image was taken."""
    options = [binary("storescu", "dcmtk"), "-aet", "MODALITY", "-aec", "ANTEROOM", "-to", "5", "-td", "10"]
    number = 0
    while not stop.is_set() and number < STUDIES_EACH:
        number += 1
        label = f"{name}{number:03}"
        folder = root / label
        series = make_series(folder, 5, side=64, patient=f"X{label}")
        for path in series.files:
            data = pydicom.dcmread(path)
            data.PatientName, data.PatientBirthDate = name_of(label), birth_date_of(label)
            data.save_as(path)
        for _ in range(60):
            done = subprocess.run(
                [*options, "127.0.0.1", str(server.dicom_port), *map(str, series.files)],
                capture_output=True,
                check=False,
                timeout=60,
            )
            if done.returncode == 0:
                with tally.lock:
                    tally.studies[series.study_uid] = 5
                    tally.stored.append(label)
                    tally.labels.append(label)
                break
            time.sleep(0.3)
        else:
            tally.given_up += 1


def _pump_hl7(server: Server, stop: threading.Event, tally: Tally) -> None:
    """Every patient of every sender, and more, each until it is acknowledged."""

    async def talk(label: str) -> None:
        """One connection until it breaks; goes on with the same patient on the next."""
        async with MllpClient("127.0.0.1", server.hl7_port, timeout=10) as client:
            while not stop.is_set():
                answer = await client.send(announcement(label))
                if answer.code == "AA":
                    tally.acknowledged.append(label)
                    label = f"H{len(tally.acknowledged) + 1:05}"
                await asyncio.sleep(0.02)

    async def pump() -> None:
        while not stop.is_set():
            try:
                await talk(f"H{len(tally.acknowledged) + 1:05}")
            except Unavailable:
                await asyncio.sleep(0.05)

    asyncio.run(pump())


def _listed(api: Any, path: str, key: str, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = api.get(path, cursor=cursor, **query)
        found += page[key]
        cursor = page.get("cursor")
        if not cursor:
            return found


def test_nothing_is_lost_when_everything_is_killed_again_and_again(
    tmp_path: Path, start_orthanc: StartOrthanc
) -> None:
    pacs = start_orthanc()
    server = Server(tmp_path / "server", _config(pacs.dicom_port))
    pacs.register(Modality("ANTEROOM", "127.0.0.1", server.dicom_port))
    server.start()
    token = server.sender(name="Clinic", policy="forward-certain", destinations=["pacs"])
    tally, stop = Tally(), threading.Event()
    threads = [
        threading.Thread(
            target=_send_over_http, args=(server, token, f"W{n}N", tmp_path / "http", stop, tally)
        )
        for n in range(SENDERS)
    ]
    threads += [
        threading.Thread(target=_send_over_dicom, args=(server, f"D{n}N", tmp_path / "dicom", stop, tally))
        for n in range(DICOM_SENDERS)
    ]
    threads.append(threading.Thread(target=_pump_hl7, args=(server, stop, tally)))
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    print(f"seed {seed}")
    for thread in threads:
        thread.start()
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, 2.5))
            server.kill()
            server.start()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    try:
        _account_for_all(server, pacs, tally)
    finally:
        server.stop()


def _account_for_all(server: Server, pacs: Any, tally: Tally) -> None:
    assert tally.problems == []
    assert len(tally.submissions) >= SENDERS
    assert tally.stored
    _feed_all(server, tally)
    with server.api() as api:
        for submission, files in tally.submissions.items():
            path = f"/api/submissions/{submission}/outcome"
            _wait(lambda path=path: api.get(path)["state"] == "validated", 120)
            outcome = api.get(path)
            assert outcome["sent"] == files
            parts = ("stored", "duplicate", "document", "refused", "quarantined", "waiting")
            assert sum(outcome[part] for part in parts) == files
            assert (outcome["document"], outcome["refused"], outcome["waiting"]) == (1, 2, 0)
        for label in tally.acknowledged:
            assert api.post("/api/patients/search", {"q": f"L{label}"})["patients"], (
                f"the acknowledged message of {label} is lost"
            )

        def all_in_pacs() -> bool:
            cases = _listed(api, "/api/studies", "studies", limit=200)
            arrived = sum(case["state"] == "in-pacs" for case in cases)
            # a study that a DICOM sender gave up halfway was never promised anything
            assert len(cases) - len(tally.studies) <= tally.given_up
            return arrived == len(tally.studies)

        _wait(all_in_pacs, 240)
        assert api.get("/api/dead-letters") == []
    for study, images in tally.studies.items():
        assert pacs.count_instances(study) == images
    print(
        f"{KILLS} kills: {len(tally.submissions)} submissions, {len(tally.studies)} studies, "
        f"{len(tally.acknowledged)} HL7 messages; all accounted for"
    )


def _feed_all(server: Server, tally: Tally) -> None:
    """The hospital announces every patient, so that every study is matched with certainty."""

    async def feed() -> None:
        async with MllpClient("127.0.0.1", server.hl7_port) as client:
            for label in tally.labels:
                answer = await client.send(announcement(label))
                assert answer.code == "AA"

    asyncio.run(feed())


def _wait(condition: Any, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not settle in time"
        time.sleep(0.3)
