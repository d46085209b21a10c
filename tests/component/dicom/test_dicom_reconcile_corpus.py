"""Reconciliation over the shared test data: pixel data and all attributes that are not coerced stay."""

import warnings
from datetime import UTC, datetime
from io import BufferedReader, BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from kit.dicom.coercion import COERCED, ORIGINALS
from kit.dicom.pack import InstanceFile, PackWriter, read_index, read_instance_bytes
from kit.dicom.reconcile import reconcile
from kit.objects.files import FileObjects
from schemas.shapes import Demographics, Order
from tests.component.dicom.corpus import joined, readable

CHARSET = 0x00080005
PLAIN = Demographics(patient_id="L1", issuer="HOSPITAL", name="Doe^Jane", birth_date="19700101", sex="F")
WIDE = PLAIN.model_copy(update={"name": "Łukasz^Jan=山田^太郎"})
ORDER = Order(accession_number="ACC1", accession_issuer="RIS", requested_procedure_id="RP1")


@pytest.fixture(autouse=True)
def quiet_pydicom(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings.simplefilter("ignore")
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.IGNORE)


def difference(before: Dataset, after: Dataset, top: bool = True) -> str | None:
    for tag in before.keys() | after.keys():
        if tag == CHARSET or tag & 0xFFFF == 0 or (top and int(tag) in COERCED | {ORIGINALS}):
            continue
        if tag not in before or tag not in after:
            return f"{tag} is there once only"
        one, two = before[tag], after[tag]
        if one.VR == two.VR == "SQ":
            if len(one.value) != len(two.value):
                return f"{tag} has other items"
            found = (difference(a, b, False) for a, b in zip(one.value, two.value, strict=True))
            if inner := next((text for text in found if text), None):
                return f"{tag}/{inner}"
        elif one.value != two.value and str(one.value) != str(two.value):
            return f"{tag} differs"
    return None


@pytest.mark.parametrize(("target", "order"), [(PLAIN, None), (WIDE, ORDER)])
def test_nothing_else_changes(
    shared_data: Path, tmp_path: Path, target: Demographics, order: Order | None
) -> None:
    objects = FileObjects(tmp_path)
    for path, data, instance in readable(shared_data):
        if "fuzz" in str(path) or path.name == "chrGB2312.dcm":
            continue
        with PackWriter(objects, "p.dcm", "p.idx") as pack:
            pack.add(instance, BytesIO(data), "1")
            pack.commit()
        entry = read_index(objects, "p.idx").entries[0]
        stored = b"".join(read_instance_bytes(objects, "p.dcm", entry))
        with BufferedReader(InstanceFile(objects, "p.dcm", entry)) as file:
            pieces = reconcile(
                file,
                entry,
                target=target,
                order=order,
                decided_at=datetime(2026, 1, 1, tzinfo=UTC),
                source="Elsewhere",
                modifying_system="ANTEROOM",
            )
        made = joined(pieces, stored)
        pixels = stored[entry.header_end : entry.pixel_end]
        assert pixels in made, path
        before = pydicom.dcmread(BytesIO(stored))
        after = pydicom.dcmread(BytesIO(stored[: entry.dataset_offset] + made))
        assert difference(before, after) is None, path
        assert (after.PatientID, str(after.PatientName)) == (target.patient_id, target.name), path
        record = after.OriginalAttributesSequence[-1].ModifiedAttributesSequence[0]
        assert str(record.PatientName or "") == str(before.get("PatientName") or ""), path
