"""STOW-RS as dicomweb-client, dcm4che and OHIF speak it."""

import asyncio
import io
import os
import xml.etree.ElementTree as ET

import httpx
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from kit.errors import NoSpace
from services.upload.submissions import Submissions
from tests.component.upload.conftest import SECRET, Running, serving, settings_of, stored_files

STUDY = "1.2.3.4.5"


def instance(study: str = STUDY, pixels: int = 2000, syntax: str = ExplicitVRLittleEndian) -> bytes:
    data = Dataset()
    data.SOPClassUID = CTImageStorage
    data.SOPInstanceUID = generate_uid()
    data.StudyInstanceUID = study
    data.SeriesInstanceUID = "1.2.3.4.6"
    data.PatientName = "Test^Person"
    data.PatientID = "1"
    data.ReferencedStudySequence = [Dataset()]
    data.Rows = data.Columns = 8
    data.BitsAllocated = 8
    data.PixelData = os.urandom(pixels)
    data["PixelData"].VR = "OB"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, data, enforce_file_format=True)
    return buffer.getvalue()


def related(
    *parts: bytes, part_type: str = "application/dicom", boundary: str = "frontier"
) -> tuple[dict, bytes]:
    body = b"".join(
        f"--{boundary}\r\nContent-Type: {part_type}\r\n\r\n".encode() + part + b"\r\n" for part in parts
    )
    headers = {
        "content-type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "accept": "application/dicom+json",
    }
    return headers, body + f"--{boundary}--\r\n".encode()


async def stored(
    upload: Running, *parts: bytes, path: str = "/dicomweb/studies", **more: str
) -> httpx.Response:
    headers, body = related(*parts)
    return await upload.client.post(path, headers={**headers, **more}, content=body)


async def closed(upload: Running, count: int = 1) -> list:
    async with asyncio.timeout(15):
        while len(events := await upload.events("submission-closed")) < count:
            await asyncio.sleep(0.05)
    return events


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
async def test_instances_are_taken_and_named(upload: Running, syntax: str):
    sent = [instance(pixels=size, syntax=syntax) for size in (10, 300_000, 1)]
    answer = await stored(upload, *sent)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom+json"
    body = answer.json()
    uids = [pydicom.dcmread(io.BytesIO(item)).SOPInstanceUID for item in sent]
    assert [item["00081155"]["Value"][0] for item in body["00081199"]["Value"]] == uids
    assert body["00081199"]["Value"][0]["00081150"]["Value"] == [CTImageStorage]
    assert body["00081190"]["Value"][0].endswith(f"/dicomweb/studies/{STUDY}")
    assert "00081198" not in body
    (event,) = await closed(upload)
    assert (event.files, event.reason, event.sender.door) == (3, "quiet", "stow")
    (batch,) = await upload.events("batch-received")
    assert list(stored_files(upload.kit, batch).values()) == sent


async def test_requests_of_one_instance_join_one_submission(upload: Running):
    sent = [instance() for _ in range(12)]
    answers = await asyncio.gather(
        *(stored(upload, item, path=f"/dicomweb/studies/{STUDY}") for item in sent)
    )
    assert {answer.status_code for answer in answers} == {200}
    (event,) = await closed(upload)
    batches = await upload.events("batch-received")
    assert (event.files, event.batches) == (12, len(batches))
    assert len(await upload.events("submission-opened")) == 1
    names: dict[str, bytes] = {}
    for batch in batches:
        names |= stored_files(upload.kit, batch)
    assert sorted(names.values()) == sorted(sent)
    assert len({name.partition("/")[0] for name in names}) == 12
    answer = await stored(upload, instance())
    assert answer.status_code == 200
    assert len(await closed(upload, 2)) == 2


async def test_some_fail_and_say_why(upload: Running):
    answer = await stored(
        upload, instance(), b"no dicom at all", instance("9.9.9"), path=f"/dicomweb/studies/{STUDY}"
    )
    assert answer.status_code == 202
    body = answer.json()
    assert len(body["00081199"]["Value"]) == 1
    assert body["00081198"]["Value"][0]["00081197"]["Value"] == [0xA900]
    assert body["0008119A"]["Value"] == [{"00081197": {"vr": "US", "Value": [0xC000]}}]
    (event,) = await closed(upload)
    assert event.files == 1


async def test_all_fail(upload: Running):
    answer = await stored(upload, b"", b"\0" * 200_000)
    assert answer.status_code == 409
    assert "00081199" not in answer.json()
    assert len(answer.json()["0008119A"]["Value"]) == 2


async def test_the_answer_as_xml(upload: Running):
    answer = await stored(upload, instance(), accept="application/dicom+xml")
    assert answer.headers["content-type"].startswith("application/dicom+xml")
    root = ET.fromstring(answer.content)
    (sequence,) = root.findall("DicomAttribute[@keyword='ReferencedSOPSequence']")
    assert sequence.find("Item/DicomAttribute[@tag='00081150']/Value").text == CTImageStorage


async def test_wrong_types_and_empty_requests(upload: Running):
    answer = await upload.client.post(
        "/dicomweb/studies", content=b"x", headers={"content-type": "application/dicom"}
    )
    assert answer.status_code == 415
    headers, body = related(b"{}", part_type="application/dicom+json")
    headers["content-type"] = headers["content-type"].replace('dicom"', 'dicom+json"')
    assert (await upload.client.post("/dicomweb/studies", content=body, headers=headers)).status_code == 415
    headers, body = related()
    answer = await upload.client.post("/dicomweb/studies", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "no-instances")


async def test_a_leading_newline_and_quoted_boundary(upload: Running):
    headers, body = related(instance(), boundary="with blank:1")
    headers["content-type"] = headers["content-type"].replace("with blank:1", '"with blank:1"')
    answer = await upload.client.post("/dicomweb/studies", content=b"\r\n" + body, headers=headers)
    assert answer.status_code == 200, answer.text


async def test_a_full_disk(upload: Running, monkeypatch):
    assert (await stored(upload, instance())).status_code == 200

    def full(*_):
        raise NoSpace("The receiving disk is full.")

    monkeypatch.setattr("kit.spool.Spool.check_room", full)
    assert (await stored(upload, instance(), instance())).status_code == 507
    monkeypatch.undo()
    (event,) = await closed(upload)
    assert event.files == 1


async def test_a_request_that_breaks_off_keeps_whole_instances_only(upload: Running):
    headers, body = related(instance(pixels=50_000), instance(pixels=500_000))
    host, port = upload.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST /dicomweb/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {SECRET}\r\n"
        f"Content-Type: {headers['content-type']}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body[:400_000]
    )
    await writer.drain()
    async with asyncio.timeout(10):
        while not await upload.events("submission-opened"):
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)
    writer.close()
    (event,) = await closed(upload)
    assert event.files == 1


async def test_a_batch_that_cannot_be_stored_yet_is_kept_and_tried_again(accounts, monkeypatch):
    monkeypatch.setattr("services.upload.sessions._RETRY_S", 0.1)
    async with serving(accounts, settings_of()) as upload:
        adopt = upload.kit.objects.adopt
        troubles = iter([NoSpace("full"), OSError(5, "io")])

        def troubled(key, path):
            for trouble in troubles:
                raise trouble
            return adopt(key, path)

        monkeypatch.setattr(upload.kit.objects, "adopt", troubled)
        assert (await stored(upload, instance())).status_code == 200
        (event,) = await closed(upload)
        assert event.files == 1


async def test_a_late_batch_finds_a_submission_although_its_own_is_closed(upload: Running):
    """Another process may close a submission that this one still has files for."""
    assert (await stored(upload, instance())).status_code == 200
    (opened,) = await upload.events("submission-opened")
    submissions = Submissions(upload.kit.documents, upload.kit.clock, settings_of())
    await submissions.close(opened.submission_id, incomplete=True)
    async with asyncio.timeout(10):
        while not (batches := await upload.events("batch-received")):
            await asyncio.sleep(0.05)
    assert batches[0].submission_id != opened.submission_id
    assert len(await closed(upload, 2)) == 2
