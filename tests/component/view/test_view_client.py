"""dicomweb-client, as researchers use it, reads what is here."""

import asyncio
from io import BytesIO

import numpy as np
from dicomweb_client import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from kit.service import Kit
from tests.component.view.samples import arrive, ct, pack, study
from tests.unit.dicom.samples import dataset, part10

UIDS = ("1.2.3.4", "1.2.3.4.5", "1.2.3.4.2")


def rle() -> bytes:
    made = dataset(SOPInstanceUID="1.2.3.4.2", InstanceNumber=2)
    part10(made)
    made.compress(RLELossless, generate_instance_uid=False)
    out = BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue()


async def test_the_whole_interface(kit_env: Kit, served: str) -> None:
    await arrive(kit_env, study([pack(kit_env, "p1", [ct(1), rle()])]))
    client = DICOMwebClient(f"{served}/dicomweb", headers={"Authorization": "Bearer viewer"})
    await asyncio.to_thread(_search, client)
    await asyncio.to_thread(_retrieve, client)


def _search(client: DICOMwebClient) -> None:
    (row,) = client.search_for_studies(
        fields=["StudyDescription"], search_filters={"PatientName": "Mül*"}, fuzzymatching=True
    )
    assert Dataset.from_json(row).StudyInstanceUID == UIDS[0]
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []
    (series,) = client.search_for_series(UIDS[0], search_filters={"Modality": "CT"})
    assert Dataset.from_json(series).SeriesInstanceUID == UIDS[1]
    assert len(client.search_for_series()) == 1
    assert len(client.search_for_instances()) == 2
    (one,) = client.search_for_instances(*UIDS[:2], limit=1, offset=1)
    assert Dataset.from_json(one).SOPInstanceUID == UIDS[2]
    (deep,) = client.search_for_instances(
        search_filters={"ProcedureCodeSequence.CodeValue": "T-1", "InstanceNumber": "2"}
    )
    assert Dataset.from_json(deep).SOPInstanceUID == UIDS[2]


def _retrieve(client: DICOMwebClient) -> None:
    assert [one.SOPInstanceUID for one in client.retrieve_study(UIDS[0])] == ["1.2.3.4.1", UIDS[2]]
    assert len(client.retrieve_series(*UIDS[:2])) == 2
    pixels = np.arange(24, dtype="<u2").reshape(4, 6)
    plain = client.retrieve_instance(*UIDS)
    assert np.array_equal(plain.pixel_array, pixels)
    stored = client.retrieve_instance(*UIDS, media_types=(("application/dicom", "*"),))
    assert stored.file_meta.TransferSyntaxUID == RLELossless
    explicit = client.retrieve_instance(*UIDS, media_types=(("application/dicom", "1.2.840.10008.1.2.1"),))
    assert explicit.PixelData == pixels.tobytes()
    assert len(client.retrieve_study_metadata(UIDS[0])) == 2
    assert len(client.retrieve_series_metadata(*UIDS[:2])) == 2
    assert Dataset.from_json(client.retrieve_instance_metadata(*UIDS)).PatientID == "F-17"
    (frame,) = client.retrieve_instance_frames(
        *UIDS, frame_numbers=[1], media_types=(("application/octet-stream", "1.2.840.10008.1.2.1"),)
    )
    assert frame == explicit.PixelData
    jpeg = client.retrieve_instance_rendered(*UIDS, media_types=("image/jpeg",))
    assert jpeg[:3] == b"\xff\xd8\xff"
    png = client.retrieve_instance_frames_rendered(*UIDS, frame_numbers=[1], media_types=("image/png",))
    assert png[1:4] == b"PNG"
