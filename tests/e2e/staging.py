"""A hospital to look at: accounts with sessions, patients and studies, on a server of its own."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from anteroom.client.api import Api
from anteroom.client.files import select
from anteroom.client.submission import Wishes, send
from anteroom.demo import study as demo
from anteroom.demo.feed import announce
from anteroom.embedded import open_embedded
from kit.clock import utc_now
from kit.identity import ACCOUNTS, TOKENS, Account, Role, Token, token_id
from kit.service import Site
from kit.sessions import COOKIE, SESSIONS, Session
from schemas.shapes import Demographics, Order
from services.portal.people.models import LOGINS, Login, login_id
from tests.component.cli.server import Server, free_port

SECRET = "secret-of-{}-for-tests-only-0123456789"
PEOPLE = {
    "northside": Account(id="northside", name="Northside Clinic", origin="northside", roles=[Role.SEND]),
    "seeklinik": Account(id="seeklinik", name="Radiologie am See", origin="seeklinik", roles=[Role.SEND]),
    "kowalski": Account(
        id="kowalski", name="Ewa Kowalski", email="ewa@hospital.example", roles=[Role.APPROVE]
    ),
    "okafor": Account(id="okafor", name="Dr. Ines Okafor", roles=[Role.VIEW], departments=["Radiology"]),
    "lindqvist": Account(
        id="lindqvist", name="Dr. Per Lindqvist", roles=[Role.VIEW], departments=["Cardiology"]
    ),
    "chief": Account(id="chief", name="Rosa Diaz", roles=[Role.ADMIN]),
}


class _Quiet:
    def sent(self, size: int) -> None: ...

    def files_done(self, count: int) -> None: ...

    def waiting(self, reason: str) -> None: ...


@dataclass
class House:
    """A running server. `cookie(name)` signs a browser in as one of PEOPLE."""

    folder: Path
    more: str = ""
    people: dict[str, Account] = field(default_factory=lambda: dict(PEOPLE))
    server: Server = field(init=False)

    def open(self) -> None:
        self.server = Server(self.folder, hl7_port=free_port())
        config = (
            f'[site]\nname = "St. Elsewhere"\nzone = "Europe/Vienna"\ndefault_issuer = "HOSPITAL"\n'
            f'url = "http://127.0.0.1:{self.server.port}"\n[match]\nhl7_host = "127.0.0.1"\n'
            f"[portal]\nundo_seconds = 1.5\n{self.more}"
        )
        (self.folder / "anteroom.toml").write_text(config)
        asyncio.run(self._people())
        self.server.start()

    async def _people(self) -> None:
        embedded = open_embedded(self.server.data, Site())
        documents, now = embedded.kit.documents, utc_now()
        for name, account in self.people.items():
            secret = SECRET.format(name)
            await documents.save(ACCOUNTS, account.model_copy(deep=True))
            email = account.email or f"{name}@hospital.example"
            login = Login(id=login_id(email), account_id=name, email=email, password_at=now)
            await documents.save(LOGINS, login)
            await documents.save(
                SESSIONS,
                Session(
                    id=token_id(secret),
                    account_id=name,
                    created_at=now,
                    seen_at=now,
                    expires_at=now + timedelta(hours=8),
                    idle_s=28_000,
                ),
            )
            await documents.save(
                TOKENS, Token(id=token_id(f"token-{secret}"), account_id=name, created_at=now)
            )
        await embedded.close()

    def close(self) -> None:
        self.server.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def cookie(self, name: str) -> dict[str, str]:
        return {"name": COOKIE, "value": SECRET.format(name), "url": self.url}

    def api(self, name: str) -> Api:
        return Api(self.url, f"token-{SECRET.format(name)}")

    def announce(self, patient: Demographics, order: Order | None = None) -> None:
        asyncio.run(announce("127.0.0.1", self.server.hl7_port, patient, order))

    def send(self, name: str, files: list[Path], **wishes: Any) -> str:
        """Send as that clinic, and wait until all of it is checked. Returns the submission's id."""
        recipients = wishes.pop("recipients", None)
        with self.api(name) as api:
            selection = select(files)
            sent = send(api, selection, _Wishes(**wishes, people=recipients or []), _Quiet())
            self.wait(
                lambda: api.get(f"/api/submissions/{sent.submission_id}/outcome")["state"] == "validated"
            )
            return sent.submission_id

    def destination(self, name: str, ae_title: str, port: int) -> None:
        with self.api("chief") as api:
            body = {
                "name": name,
                "host": "127.0.0.1",
                "port": port,
                "called_ae": ae_title,
                "commitment": False,
            }
            api.post("/api/destinations", body)

    def studies(self) -> list[dict[str, Any]]:
        with self.api("chief") as api:
            found: list[dict[str, Any]] = api.get("/api/studies")["studies"]
            return found

    def study(self, family: str) -> dict[str, Any]:
        """The study whose patient's name begins so, once matching has answered."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = [s for s in self.studies() if s["patient"]["name"].startswith(family)]
            return bool(found) and found[0]["state"] != "arrived"

        self.wait(there)
        return found[0]

    def whole(self, family: str) -> dict[str, Any]:
        """Everything the API tells of that study."""
        with self.api("chief") as api:
            found: dict[str, Any] = api.get(f"/api/studies/{self.study(family)['id']}")
            return found

    def decide(self, family: str, **body: Any) -> None:
        study = self.study(family)
        with self.api("chief") as api:
            full: dict[str, Any] = api.get(f"/api/studies/{study['id']}")
            revisions = {name: full[name] for name in ("study_revision", "match_revision")}
            api.post(f"/api/studies/{study['id']}/decision", {**revisions, **body})

    @staticmethod
    def wait(condition: Callable[[], bool], seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(0.1)
        raise AssertionError("waited too long")


@dataclass(frozen=True)
class _Wishes(Wishes):
    people: list[dict[str, str]] = field(default_factory=list)

    def fields(self) -> dict[str, Any]:
        return {**super().fields(), "recipients": self.people}


def phantom(folder: Path, count: int = 24, series: int = 1, **about: str) -> list[Path]:
    """A CT of nobody: ellipses of tissue, lung and bone, so that windows show different things."""
    folder.mkdir(parents=True, exist_ok=True)
    study, files = generate_uid(), []
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    noise = np.random.default_rng(5).normal(0, 12, (512, 512))
    for run in range(series):
        series_uid = generate_uid()
        for number in range(count):
            z = number / max(1, count - 1) * 2 - 1
            hu = np.full((512, 512), -1000.0)
            size = 0.82 - 0.1 * z * z
            hu[(x / size) ** 2 + (y / (size * 0.68)) ** 2 < 1] = 30
            hu[(x / (size - 0.04)) ** 2 + (y / (size * 0.68 - 0.04)) ** 2 < 1] = 55
            lung = 0.27 * (1 - 0.5 * z * z)
            for side in (-0.36, 0.36):
                hu[((x - side) / lung) ** 2 + ((y + 0.02) / (lung * 1.35)) ** 2 < 1] = -820
            hu[(x / 0.09) ** 2 + ((y - 0.36) / 0.1) ** 2 < 1] = 620
            hu[((x + 0.08 - z * 0.05) / 0.15) ** 2 + ((y + 0.12) / 0.19) ** 2 < 1] = 140 + 60 * run
            image = _ct(study, series_uid, run, number, count, about)
            image.PixelData = (np.clip(hu + noise, -1024, 3000) + 1024).astype(np.uint16).tobytes()
            path = folder / f"IM{run}{number:04d}"
            image.save_as(path, enforce_file_format=True)
            files.append(path)
    return files


def _ct(study: str, series: str, run: int, number: int, count: int, about: dict[str, str]) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = CTImageStorage
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID = study, series
    image.Modality, image.SeriesNumber, image.InstanceNumber = "CT", run + 2, number + 1
    image.StudyDate, image.StudyTime, image.StudyID = "20261102", "081500", "1"
    image.StudyDescription, image.SeriesDescription = (
        "CT chest with contrast",
        ("axial 1.5 mm", "axial late")[run % 2],
    )
    image.PatientID, image.PatientName, image.PatientBirthDate, image.PatientSex = "0", "", "", ""
    image.Rows = image.Columns = 512
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.RescaleIntercept, image.RescaleSlope = -1024, 1
    image.WindowCenter, image.WindowWidth = 40, 400
    image.PixelSpacing, image.SliceThickness = [0.7, 0.7], 1.5
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.ImagePositionPatient = [-180, -180, 1.5 * number]
    for name, value in about.items():
        setattr(image, name, value)
    return image


def slices(folder: Path, count: int = 20, **about: str) -> list[Path]:
    """The demo's MR under another name."""
    folder.mkdir(parents=True, exist_ok=True)
    study, series, files = generate_uid(), generate_uid(), []
    for path in demo.files()[:count]:
        image = pydicom.dcmread(path)
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.SpecificCharacterSet = "ISO_IR 192"
        for name, value in about.items():
            setattr(image, name, value)
        target = folder / path.name
        image.save_as(target, enforce_file_format=True)
        files.append(target)
    return files


def furnish(house: House, folder: Path) -> str:
    """Four studies from outside, and the patients the hospital knows. Returns a submission of northside."""
    hospital = {"issuer": "HOSPITAL"}
    order = Order(
        accession_number="A2611-0931",
        requested_procedure_description="CT chest outside read",
        modality="CT",
        placer_order_number="P0931",
        filler_order_number="F0931",
        requested_procedure_id="RP0931",
    )
    house.announce(
        Demographics(
            patient_id="4471902", name="Morgan-Lee^Alexandra", birth_date="19620314", sex="F", **hospital
        ),
        order,
    )
    house.announce(
        Demographics(
            patient_id="4480013", name="Morgan^Alexander", birth_date="19620314", sex="M", **hospital
        )
    )
    house.announce(
        Demographics(patient_id="5100277", name="Ødegård^Sigrid", birth_date="19780930", sex="F", **hospital)
    )
    house.announce(
        Demographics(patient_id="3300551", name="Novak^Jan", birth_date="19490222", sex="M", **hospital)
    )
    radiology = [{"name": "Dr. Ines Okafor", "account_id": "okafor"}]
    house.send(
        "seeklinik",
        slices(
            folder / "oe", 12, PatientName="Ødegård^Sigrid", PatientID="5100277",
            IssuerOfPatientID="HOSPITAL",
            PatientBirthDate="19780930", PatientSex="F", StudyDescription="MR brain", StudyDate="20261101",
        ),
        recipients=[{"name": "", "department": "Radiology"}],
    )  # fmt: skip
    house.send(
        "northside",
        slices(
            folder / "ta", 6, PatientName="Tanaka^Hiroshi=田中^宏", PatientID="TH-9",
            PatientBirthDate="19550112",
            PatientSex="M", StudyDescription="MR neck, outside", StudyDate="20261031",
        ),
        recipients=[{"name": "Dr. Per Lindqvist", "account_id": "lindqvist"}],
    )  # fmt: skip
    submission = house.send(
        "northside",
        phantom(
            folder / "mo", 24, 2, PatientName="Morgan^Alexandra", PatientID="88-1203",
            PatientBirthDate="19620314",
            PatientSex="F", ReferringPhysicianName="Petrov^Ilja",
        ),
        recipients=radiology, purpose="Second opinion", urgent=True,
        note="New mass on the left? The report is in German; call us for the films of 2024.",
    )  # fmt: skip
    house.send(
        "seeklinik",
        phantom(
            folder / "no", 8, 1, PatientName="Novak^Jan", PatientID="3300551",
            IssuerOfPatientID="HOSPITAL",
            PatientBirthDate="19490222", PatientSex="M", StudyDescription="CT head, trauma transfer",
        ),
        recipients=radiology,
    )  # fmt: skip
    return submission


def get(house: House, name: str, path: str) -> httpx.Response:
    """A page as that person's browser gets it."""
    cookies = {COOKIE: SECRET.format(name)}
    with httpx.Client(base_url=house.url, cookies=cookies, headers={"accept": "text/html"}) as client:
        return client.get(path)
