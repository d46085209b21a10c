"""The demo's PACS, both of them, seen by DCMTK and by a storage commitment requester."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
)

from anteroom.demo import neighbour, orthanc, study
from tests.neighbours.process import binary, free_port, missing

HOST = "127.0.0.1"


class Reports:
    """Where Anteroom's DICOM door would be: takes N-EVENT-REPORT."""

    def __init__(self) -> None:
        self.port = free_port()
        self.got: list[tuple[int, Dataset]] = []
        self.arrived = threading.Event()
        ae = AE(ae_title="ANTEROOM")
        ae.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
        self._server = ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._report)]
        )

    def _report(self, event: Any) -> tuple[int, None]:
        self.got.append((event.event_type, event.event_information))
        self.arrived.set()
        return 0x0000, None

    def stop(self) -> None:
        self._server.shutdown()


@pytest.fixture
def reports() -> Iterator[Reports]:
    found = Reports()
    yield found
    found.stop()


@pytest.fixture(params=[neighbour.OrthancPacs, neighbour.SmallPacs])
def pacs(request: pytest.FixtureRequest, tmp_path: Path, reports: Reports) -> Iterator[neighbour.Pacs]:
    if request.param is neighbour.OrthancPacs and orthanc.executable() is None:
        missing("Orthanc is not installed (Debian: orthanc)")
    chosen: neighbour.Pacs = request.param(tmp_path / "pacs", "ANTEROOM", reports.port)
    chosen.start()
    yield chosen
    chosen.stop()


def send(pacs: neighbour.Pacs, *paths: Path) -> None:
    program = binary("dcmsend", "dcmtk")
    command = [program, "-aec", pacs.ae_title, HOST, str(pacs.port), *map(str, paths)]
    subprocess.run(command, check=True, timeout=60, env={"TCP_NODELAY": "1"})


def commit(pacs: neighbour.Pacs, instances: list[tuple[str, str]]) -> str:
    ae = AE(ae_title="ANTEROOM")
    ae.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scu_role=True)
    association = ae.associate(HOST, pacs.port, ae_title=pacs.ae_title, ext_neg=[role])
    assert association.is_established
    request = Dataset()
    request.TransactionUID = generate_uid()
    request.ReferencedSOPSequence = []
    for sop_class, sop_instance in instances:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
        request.ReferencedSOPSequence.append(item)
    status, _ = association.send_n_action(
        request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    association.release()
    assert status.Status == 0
    return str(request.TransactionUID)


def test_the_study_is_stored_once_found_and_committed(pacs: neighbour.Pacs, reports: Reports) -> None:
    paths = study.files()[:5]
    send(pacs, *paths)
    send(pacs, *paths)
    assert len(images(pacs)) == 5

    headers = [dcmread(path, stop_before_pixels=True) for path in paths]
    known = [(str(header.SOPClassUID), str(header.SOPInstanceUID)) for header in headers]
    transaction = commit(pacs, known)
    assert reports.arrived.wait(30)
    kind, report = reports.got[0]
    assert kind == 1
    assert report.TransactionUID == transaction
    assert sorted(item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence) == sorted(
        uid for _, uid in known
    )
    assert "FailedSOPSequence" not in report


def test_what_it_does_not_have_is_not_committed(pacs: neighbour.Pacs, reports: Reports) -> None:
    path = study.files()[0]
    send(pacs, path)
    header = dcmread(path, stop_before_pixels=True)
    commit(pacs, [(header.SOPClassUID, header.SOPInstanceUID), (header.SOPClassUID, "1.2.3.4")])
    assert reports.arrived.wait(30)
    kind, report = reports.got[0]
    assert kind == 2
    assert [item.ReferencedSOPInstanceUID for item in report.FailedSOPSequence] == ["1.2.3.4"]


def images(pacs: neighbour.Pacs) -> list[str]:
    """SOP Instance UIDs by an IMAGE-level C-FIND over the demo's series."""
    header = dcmread(study.files()[0], stop_before_pixels=True)
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID = study.STUDY_INSTANCE_UID
    query.SeriesInstanceUID = header.SeriesInstanceUID
    query.SOPInstanceUID = ""
    ae = AE(ae_title="ANTEROOM")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    association = ae.associate(HOST, pacs.port, ae_title=pacs.ae_title)
    assert association.is_established
    answers = association.send_c_find(query, StudyRootQueryRetrieveInformationModelFind)
    found = [str(answer.SOPInstanceUID) for _, answer in answers if answer is not None]
    association.release()
    return found


@pytest.mark.parametrize("level", ["STUDY", "SERIES", "IMAGE"])
def test_find_by_uid(pacs: neighbour.Pacs, level: str) -> None:
    paths = study.files()[:3]
    send(pacs, *paths)
    header = dcmread(paths[1], stop_before_pixels=True)
    keys = [f"StudyInstanceUID={study.STUDY_INSTANCE_UID}"]
    if level != "STUDY":
        keys.append(f"SeriesInstanceUID={header.SeriesInstanceUID}")
    if level == "IMAGE":
        keys.append("SOPInstanceUID")
    command = [binary("findscu", "dcmtk"), "-v", "-S", "-aec", pacs.ae_title]
    command += ["-k", f"QueryRetrieveLevel={level}", "-k", "PatientID"]
    command += [word for key in keys for word in ("-k", key)]
    command += [HOST, str(pacs.port)]
    done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert said.count("Find Response:") - said.count("Find Response: (Success)") == (
        3 if level == "IMAGE" else 1
    )
    if level == "IMAGE":
        assert str(header.SOPInstanceUID) in said


def test_the_small_pacs_remembers_and_keeps_bytes(tmp_path: Path) -> None:
    pacs = neighbour.SmallPacs(tmp_path, "ANTEROOM", free_port())
    path = study.files()[0]
    pacs.start()
    send(pacs, path)
    pacs.stop()
    pacs.start()
    send(pacs, path)
    remembered = images(pacs)
    pacs.stop()
    (kept,) = tmp_path.glob("*.dcm")
    assert kept.stem.isalnum()
    stored, original = dcmread(kept), dcmread(path)
    assert stored.to_json() == original.to_json()
    assert stored.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID
    assert remembered == [str(original.SOPInstanceUID)]
