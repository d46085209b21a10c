"""The bytes of a resumable upload in a form, as browsers send files fastest."""

import asyncio
import base64
import os

import httpx
import pytest

from services.upload.form import FIELDS_MOST
from tests.component.upload.conftest import SECRET, Running, serving, settings_of, stored_files, tar_of
from tests.component.upload.test_upload_tus import TUS, created, opened, patched

FILES = {"0/a": os.urandom(70_000), "1/b/ä": b"\r\n--boundary\r\n" * 3000, "2/empty": b"", "3/c": b"c"}
Field = tuple[str, tuple[str | None, bytes]]


def fields_of(files: dict[str, bytes]) -> list[Field]:
    """The tar of the files, taken apart: what lies between contents goes as base64."""
    batch, at, fields = tar_of(files), 0, []
    for content in filter(None, files.values()):
        place = batch.index(content, at)
        fields.append(("bytes", (None, base64.b64encode(batch[at:place]))))
        fields.append((str(len(content)), ("file", content)))
        at = place + len(content)
    return [*fields, ("bytes", (None, base64.b64encode(batch[at:])))]


async def formed(upload: Running, location: str, offset: int, fields: list[Field], **headers: str):
    return await upload.client.patch(
        location, headers={**TUS, "upload-offset": str(offset), **headers}, files=fields
    )


async def test_a_form_brings_the_same_bytes(accounts):
    async with serving(accounts, settings_of(part_bytes=30_000)) as upload:
        submission_id = await opened(upload, declared_files=4)
        batch = tar_of(FILES)
        location = await created(upload, submission_id, "0-3", len(batch))
        answer = await formed(upload, location, 0, fields_of(FILES))
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(len(batch)))
        (event,) = await upload.events("batch-received")
        assert b"".join(b"".join(upload.kit.objects.stream(part.key)) for part in event.parts) == batch
        assert stored_files(upload.kit, event) == FILES


async def test_forms_and_plain_bytes_take_turns(upload: Running):
    submission_id = await opened(upload)
    batch, fields = tar_of(FILES), fields_of(FILES)
    location = await created(upload, submission_id, "0-3", len(batch))
    first = await formed(upload, location, 0, fields[:2])
    offset = int(first.headers["upload-offset"])
    assert offset == batch.index(FILES["0/a"]) + 70_000
    second = await patched(upload, location, offset, batch[offset : offset + 700])
    assert second.status_code == 204
    wrong = await formed(upload, location, 0, fields)
    assert (wrong.status_code, wrong.json()["code"]) == (409, "wrong-offset")
    rest = batch[offset + 700 :]
    assert (
        await formed(upload, location, offset + 700, [(str(len(rest)), ("file", rest))])
    ).status_code == 204
    (event,) = await upload.events("batch-received")
    assert stored_files(upload.kit, event) == FILES


async def test_a_form_that_breaks_off_keeps_what_came(upload: Running):
    submission_id = await opened(upload)
    files = {"0/x": os.urandom(400_000)}
    batch = tar_of(files)
    location = await created(upload, submission_id, "0", len(batch))
    request = httpx.Request("PATCH", f"{upload.url}{location}", files=fields_of(files))
    body = request.read()
    host, port = upload.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"PATCH {location} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {SECRET}\r\n"
        f"Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: {request.headers['content-type']}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body[:250_000]
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    offset = 0
    async with asyncio.timeout(10):
        while not offset:
            head = await upload.client.head(location, headers=TUS)
            offset = int(head.headers["upload-offset"])
    assert 240_000 < offset < 250_000
    async with asyncio.timeout(10):
        # what came is known a moment before the broken request has let go of the upload
        while (answer := await patched(upload, location, offset, batch[offset:])).status_code == 423:
            await asyncio.sleep(0.02)
    assert answer.status_code == 204
    (event,) = await upload.events("batch-received")
    assert stored_files(upload.kit, event) == files


@pytest.mark.parametrize("said", [69_999, 70_001])
async def test_a_file_of_another_size_than_said_counts_for_nothing(upload: Running, said: int):
    submission_id = await opened(upload)
    batch, fields = tar_of(FILES), fields_of(FILES)
    location = await created(upload, submission_id, "0-3", len(batch))
    fields[1] = (str(said), fields[1][1])
    answer = await formed(upload, location, 0, fields)
    assert (answer.status_code, answer.json()["code"]) == (400, "file-changed")
    head = await upload.client.head(location, headers=TUS)
    assert head.headers["upload-offset"] == "0"
    assert list(upload.kit.objects.list("incoming/")) == []


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ([("name", (None, b"x"))], 400, "bad-form"),
        ([("bytes", (None, b"not base64"))], 400, "bad-form"),
        ([("1", ("file", b"x"))] * (FIELDS_MOST + 1), 400, "bad-form"),
        ([("bytes", (None, b"A" * 100_000))], 413, "field-too-long"),
        ([("5000", ("file", b"x" * 5000))], 400, "too-long"),
        ([("500000", ("file", b"x" * 500_000))], 413, "too-long"),
        ([("1" * 17, ("file", b"x"))], 400, "bad-form"),
        ([("bytes", ("y" * 70_000, b""))], 400, "bad-multipart"),
    ],
)
async def test_forms_that_are_none_are_refused(upload: Running, fields: list[Field], status: int, code: str):
    submission_id = await opened(upload)
    location = await created(upload, submission_id, "0", 1000 if code == "too-long" else 50_000)
    answer = await formed(upload, location, 0, fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await upload.client.head(location, headers=TUS)).headers["upload-offset"] == "0"


async def test_a_form_without_a_length_or_an_end_is_refused(upload: Running):
    submission_id = await opened(upload)
    location = await created(upload, submission_id, "0", 1000)
    kind = {"content-type": "multipart/form-data; boundary=b"}

    async def endless():
        yield b'--b\r\nContent-Disposition: form-data; name="bytes"\r\n\r\nAAAA\r\n--b--\r\n'

    answer = await patched(upload, location, 0, endless(), **kind)
    assert (answer.status_code, answer.json()["code"]) == (400, "length-needed")
    answer = await patched(upload, location, 0, b"--b\r\nContent-Disposition: form-data\r\n\r\nAAAA", **kind)
    assert answer.status_code == 400
    answer = await patched(upload, location, 0, b"", **{"content-type": "multipart/form-data"})
    assert (answer.status_code, answer.json()["code"]) == (400, "no-boundary")
