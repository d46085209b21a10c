"""STOW-RS spoken by a real Orthanc."""

import asyncio

import httpx
from pydicom.uid import ExplicitVRLittleEndian

from tests.component.upload.conftest import SECRET, Running, stored_files
from tests.component.upload.test_upload_stow import STUDY, closed, instance


async def test_orthanc_sends_a_study(upload: Running, start_orthanc):
    pacs = await asyncio.to_thread(start_orthanc)
    sent = [instance(pixels=200_000, syntax=ExplicitVRLittleEndian) for _ in range(7)]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{pacs.http_port}", timeout=60) as client:
        ids = [(await client.post("/instances", content=item)).json()["ID"] for item in sent]
        server = {"Url": f"{upload.url}/dicomweb/", "HttpHeaders": {"Authorization": f"Bearer {SECRET}"}}
        (await client.put("/dicom-web/servers/anteroom", json=server)).raise_for_status()
        answer = await client.post(
            "/dicom-web/servers/anteroom/stow", json={"Resources": ids, "Synchronous": True}
        )
        assert answer.status_code == 200, answer.text
    (event,) = await closed(upload)
    assert event.files == len(sent)
    contents: list[bytes] = []
    for batch in await upload.events("batch-received"):
        contents += stored_files(upload.kit, batch).values()
    assert len(contents) == len(sent)
    assert all(STUDY.encode() in content for content in contents)
