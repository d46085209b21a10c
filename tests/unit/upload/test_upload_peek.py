"""The glance of STOW-RS: right for well-formed files, harmless for all others."""

import random

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from services.upload.peek import HEAD, glance
from tests.component.upload.test_upload_stow import STUDY, instance


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_uids_of_a_file(syntax: str):
    found = glance(instance(syntax=syntax)[:HEAD])
    assert found is not None
    assert found.study_instance_uid == STUDY
    assert found.sop_instance_uid


def test_any_damage_is_borne():
    whole = instance(pixels=300)
    assert glance(b"") is None
    for cut in range(len(whole)):
        glance(whole[:cut])
    random.seed(3)
    for _ in range(3000):
        damaged = bytearray(whole)
        for _ in range(random.randrange(1, 8)):
            damaged[random.randrange(132, len(damaged))] = random.randrange(256)
        found = glance(bytes(damaged))
        assert found is not None
        uids = found.sop_class_uid + found.sop_instance_uid + found.study_instance_uid
        assert set(uids) <= set("0123456789.")


def test_the_shared_files_tell_what_pydicom_reads(shared_data):
    compared = 0
    for path in sorted(shared_data.rglob("*.dcm"))[:200]:
        with path.open("rb") as file:
            found = glance(file.read(HEAD))
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
            uid = str(header.SOPInstanceUID)
        except Exception:  # noqa: BLE001 - pydicom may raise anything for the hostile ones
            continue
        if found is not None and found.sop_instance_uid and uid:
            assert found.sop_instance_uid in (
                uid,
                str(header.file_meta.get("MediaStorageSOPInstanceUID", "")),
            )
            compared += 1
    assert compared
