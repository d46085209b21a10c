"""What happens to the patient's study, and what goes wrong on the way."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import httpx
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE

from anteroom.client.files import select
from anteroom.client.submission import Wishes, send
from anteroom.demo.feed import announce
from kit.hl7.client import MllpClient
from tests.component.sight.hospital import LOCAL, NOTE, ORDER, PASSWORD, PATIENT, Hospital
from tests.unit.dicom.samples import CT, dataset, part10


class _Quiet:
    def sent(self, size: int) -> None: ...

    def files_done(self, count: int) -> None: ...

    def waiting(self, reason: str) -> None: ...


def image(number: int, study: str) -> Dataset:
    return dataset(
        StudyInstanceUID=study,
        SeriesInstanceUID=f"{study}.1",
        SOPInstanceUID=f"{study}.1.{number}",
        InstanceNumber=number,
        PatientName=PATIENT.name,
        PatientID=PATIENT.patient_id,
        IssuerOfPatientID=PATIENT.issuer,
        PatientBirthDate=PATIENT.birth_date,
        PatientSex=PATIENT.sex,
        AccessionNumber="FOREIGN-5501",
    )


def files(folder: Path, study: str) -> list[Path]:
    """Two images and one that is broken, in files that name the patient."""
    folder.mkdir(parents=True)
    made = []
    for number in (1, 2, 3):
        data = part10(image(number, study))
        path = folder / f"Quarkson_Zebulon_{number}.dcm"
        path.write_bytes(data if number < 3 else data[: len(data) * 2 // 3])
        made.append(path)
    strange = folder / "PHI-7730415 letter of Quarkson.txt"
    strange.write_text("Zebulon Quarkson, born 19310207")
    return [*made, strange]


def feed(hospital: Hospital) -> None:
    asyncio.run(announce("127.0.0.1", hospital.server.hl7_port, LOCAL, ORDER))


def bad_hl7(hospital: Hospital) -> None:
    """No HL7, a message for others, one without a patient ID, one that never ends, one outside any frame."""
    head = "MSH|^~\\&|HIS|QUARKSON CLINIC|||20260101||{}|1|P|2.5\r"
    pid = "PID|||{}||Quarkson^Zebulon||19310207\r"
    texts = [
        "Quarkson^Zebulon|19310207\r",
        head.format("MDM^T02") + pid.format("PHI-7730415"),
        head.format("ADT^A08") + pid.format(""),
        head.format("ADT^A08") + "Quarkson Zebulon without any field\r",
    ]

    async def say() -> None:
        for text in texts:
            async with MllpClient("127.0.0.1", hospital.server.hl7_port) as client:
                assert not (await client.send(text)).accepted

    asyncio.run(say())
    for raw in (b"\x0bMSH|^~\\&|Quarkson^Zebulon", b"PID|||PHI-7730415||Quarkson^Zebulon\r"):
        with socket.create_connection(("127.0.0.1", hospital.server.hl7_port)) as peer:
            peer.sendall(raw)


def send_study(hospital: Hospital, paths: list[Path]) -> str:
    with hospital.clinic() as clinic:
        wishes = Wishes(purpose="second opinion", note=NOTE)
        sent = send(clinic, select(paths), wishes, _Quiet())
        address = f"/api/submissions/{sent.submission_id}/outcome"
        Hospital.until(lambda: clinic.get(address)["state"] == "validated")
        return sent.submission_id


def store_by_dicom(hospital: Hospital, study: str) -> None:
    """One image; then somebody who may not, and bytes that are no DICOM."""
    port, entity = hospital.dicom_port(), AE(ae_title="CLINIC")
    entity.add_requested_context(CT, "1.2.840.10008.1.2.1")
    association = entity.associate("127.0.0.1", port, ae_title="ANTEROOM")
    assert association.is_established
    one = dcmread(_written(hospital.folder / "by-dicom.dcm", image(7, study)))
    assert association.send_c_store(one).Status == 0
    association.release()
    stranger = AE(ae_title="QUARKSON")
    stranger.add_requested_context(CT)
    assert not stranger.associate("127.0.0.1", port, ae_title="ANTEROOM").is_established
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(b"\x04\x00\x00\x00\x00\x20Quarkson^Zebulon PHI-7730415    ")


def _written(path: Path, made: Dataset) -> Path:
    path.write_bytes(part10(made))
    return path


def ask_wrongly(hospital: Hospital) -> None:
    """Requests that name the patient where they should not, and wrong passwords."""
    token = (hospital.server.data / "admin.token").read_text().strip()
    name = {"PatientName": "Quarkson^Zebulon", "PatientID": "PHI-7730415", "q": "Quarkson"}
    with httpx.Client(base_url=hospital.url, trust_env=False) as nobody:
        form = {"name": "Zebulon Quarkson", "account": "quarkson@clinic.example", "password": PASSWORD}
        for path in ("/login", "/login?next=/studies/Quarkson"):
            assert nobody.post(path, data=form, headers={"sec-fetch-site": "same-origin"}).status_code < 500
        nobody.headers["authorization"] = f"Bearer {token}"
        asked: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", "/dicomweb/studies", {"params": name}),
            ("GET", "/api/studies", {"params": name}),
            ("GET", "/studies", {"params": name}),
            ("GET", "/Quarkson^Zebulon/PHI-7730415", {}),
            ("GET", "/api/studies/Quarkson", {}),
            ("POST", "/api/studies/search", {"json": {"text": "Quarkson", "birth_date": 19310207}}),
            ("POST", "/api/submissions", {"json": {"files": "Quarkson", "purpose": ["Zebulon"]}}),
            ("POST", "/api/submissions", {"content": b'{"note": "Quarkson^Zebulon PHI-7730415'}),
            ("POST", "/api/destinations", {"json": {"name": {"Quarkson": 1}, "port": "19310207"}}),
            ("POST", "/api/send", {"files": {"file": ("Quarkson.zip", b"PK\x03\x04 Quarkson^Zebulon")}}),
            (
                "POST",
                "/dicomweb/studies",
                {"content": b"Quarkson^Zebulon", "headers": {"content-type": "x/y"}},
            ),
        ]
        for method, path, more in asked:
            assert nobody.request(method, path, **more).status_code < 500, path


def approve(hospital: Hospital, accession: str = "FOREIGN-5501") -> str:
    """Approves the study once it has its patient; returns its id."""
    with hospital.admin as admin:

        def ready() -> dict[str, Any] | None:
            for listed in admin.get("/api/studies")["studies"]:
                case: dict[str, Any] = admin.get(f"/api/studies/{listed['id']}")
                match = case["match"]
                if case["study"]["instances"] >= 2 and match is not None and match["state"] == "matched":
                    return case
            return None

        case = Hospital.until(ready)
        body = {"action": "approve", "target": "match"}
        body |= {name: case[name] for name in ("study_revision", "match_revision")}
        admin.post(f"/api/studies/{case['id']}/decision", body)
        return str(case["id"])


def refused_by_pacs(hospital: Hospital, study_id: str) -> bool:
    with hospital.admin as admin:
        found = admin.get(f"/api/deliveries?study_id={study_id}")["deliveries"]
        return bool(found) and "tried again" in found[0]["error"]


def in_pacs(hospital: Hospital, study_id: str) -> bool:
    with hospital.admin as admin:
        return bool(admin.get(f"/api/studies/{study_id}")["state"] == "in-pacs")


def look_at(hospital: Hospital, study_id: str) -> None:
    with hospital.admin as admin:
        case = admin.get(f"/api/studies/{study_id}")
        uid = case["study"]["study_instance_uid"]
        token = (hospital.server.data / "admin.token").read_text().strip()
        headers = {"authorization": f"Bearer {token}"}
        for path in (f"/dicomweb/studies/{uid}/metadata", f"/dicomweb/studies/{uid}/series"):
            answer = httpx.get(hospital.url + path, headers=headers, trust_env=False, timeout=30)
            assert answer.status_code == 200, answer.text
