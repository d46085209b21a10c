"""The plain door: curl-like requests, all or nothing."""

import asyncio
import os
import shutil
import subprocess

import pytest

from kit.errors import NoSpace
from services.upload.documents import SUBMISSIONS
from tests.component.upload.conftest import SECRET, Running, serving, settings_of, stored_files


def nothing_left(upload: Running) -> bool:
    spool = upload.kit.scratch / "upload"
    left = list(spool.iterdir()) if spool.exists() else []
    return not left and not list(upload.kit.objects.list("incoming/"))


async def test_many_files_in_a_form(upload: Running):
    files = [("file", (f"bild {n}-ä.dcm", os.urandom(3000 * n))) for n in range(1, 30)]
    answer = await upload.client.post(
        "/api/send",
        files=files,
        data={
            "note": "knee",
            "purpose": "opinion",
            "recipient": "huber@hospital.example",
            "urgency": "urgent",
        },
    )
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert (body["sent"], body["repeated"]) == (29, False)
    assert body["bytes"] > sum(len(content) for _, (_, content) in files)
    (opened,) = await upload.events("submission-opened")
    (batch,) = await upload.events("batch-received")
    (closed,) = await upload.events("submission-closed")
    assert (opened.declared_files, opened.urgency, opened.purpose) == (29, "urgent", "opinion")
    assert (closed.files, closed.batches) == (29, 1)
    expected = {f"{n}/{name}": content for n, (_, (name, content)) in enumerate(files)}
    assert stored_files(upload.kit, batch) == expected
    assert list((upload.kit.scratch / "upload").iterdir()) == []
    submission = (await upload.client.get(f"/api/submissions/{body['submission']}")).json()
    assert (submission["state"], submission["note"]) == ("closed", "knee")


async def test_batches_end_by_count_and_size(accounts):
    async with serving(accounts, settings_of(batch_files=4, batch_bytes=100_000)) as upload:
        sizes = [10, 10, 10, 10, 10, 200_000, 10, 10]
        files = [("file", (f"{n}", os.urandom(size))) for n, size in enumerate(sizes)]
        assert (await upload.client.post("/api/send", files=files)).status_code == 201
        batches = await upload.events("batch-received")
        assert [batch.ordinals for batch in batches] == [(0, 1, 2, 3), (4, 5), (6, 7)]
        assert [batch.sequence for batch in batches] == [1, 2, 3]


async def test_a_raw_body(upload: Running):
    content = os.urandom(5_000_000)
    answer = await upload.client.put(
        "/api/send?purpose=opinion",
        content=content,
        headers={"content-disposition": "attachment; filename*=UTF-8''st%C3%BCdy.zip"},
    )
    assert answer.status_code == 201, answer.text
    (batch,) = await upload.events("batch-received")
    assert stored_files(upload.kit, batch) == {"0/stüdy.zip": content}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_as_the_readme_shows_it(upload: Running, tmp_path):
    (tmp_path / "IM1").write_bytes(os.urandom(300_000))
    (tmp_path / "s t.zip").write_bytes(os.urandom(200_000))
    auth = ["-H", f"Authorization: Bearer {SECRET}"]
    for more in (
        ["-F", "file=@IM1", "-F", "file=@s t.zip", "-F", "note=knee"],
        ["-T", "IM1"],
        ["--data-binary", "@s t.zip"],
    ):
        done = await asyncio.to_thread(
            subprocess.run,
            ["curl", "-sS", "-w", "%{http_code}", *auth, *more, f"{upload.url}/api/send"],
            cwd=tmp_path,
            capture_output=True,
            timeout=30,
            check=True,
        )
        assert done.stdout.endswith(b"201"), done.stdout
    batches = await upload.events("batch-received")
    assert set(stored_files(upload.kit, batches[0])) == {"0/IM1", "1/s t.zip"}


async def test_an_idempotency_key_counts_once(upload: Running):
    headers = {"idempotency-key": "shipment 7"}
    first = await upload.client.post("/api/send", content=b"x" * 1000, headers=headers)
    again = await upload.client.post("/api/send", content=b"x" * 1000, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {**first.json(), "repeated": True}
    assert len(await upload.events("batch-received")) == 1


async def test_a_request_that_breaks_off_leaves_nothing(accounts):
    async with serving(accounts, settings_of(batch_bytes=50_000)) as upload:
        host, port = upload.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        part = b"--b\r\nContent-Disposition: form-data; name=file; filename=x\r\n\r\n"
        writer.write(
            f"POST /api/send HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {SECRET}\r\n"
            "Idempotency-Key: k\r\nContent-Length: 900000\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode()
        )
        for _ in range(4):
            writer.write(part + b"y" * 60_000 + b"\r\n")
        writer.write(part + b"half of a fi")
        await writer.drain()
        async with asyncio.timeout(10):
            while len(list((upload.kit.scratch / "upload").glob("*.tar"))) < 3:
                await asyncio.sleep(0.02)
        busy = await upload.client.post("/api/send", content=b"x", headers={"idempotency-key": "k"})
        assert (busy.status_code, busy.json()["code"]) == (409, "in-progress")
        writer.close()
        async with asyncio.timeout(10):
            while not nothing_left(upload):
                await asyncio.sleep(0.02)
        assert await upload.kit.documents.count(SUBMISSIONS) == 0
        answer = await upload.client.post("/api/send", content=b"x", headers={"idempotency-key": "k"})
        assert answer.status_code == 201


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        ({}, b"", 400, "no-files"),
        ({"content-type": "multipart/form-data"}, b"x", 400, "no-boundary"),
        ({"content-type": "multipart/form-data; boundary=" + "b" * 500}, b"x", 400, "bad-boundary"),
        ({"content-type": "multipart/form-data; boundary=b"}, b"no boundary here", 400, "bad-multipart"),
        ({"content-type": "multipart/form-data; boundary=b"}, b"--b--\r\n", 400, "no-files"),
        (
            {"content-type": "multipart/form-data; boundary=b"},
            b"--b\r\ncontent-disposition: form-data; name=file; filename=x\r\n\r\ntruncated",
            400,
            "incomplete-body",
        ),
        (
            {"content-type": "multipart/form-data; boundary=b"},
            b"--b\r\ncontent-disposition: form-data; name=note\r\n\r\n" + b"n" * 5000 + b"\r\n--b--\r\n",
            413,
            "field-too-long",
        ),
        (
            {"content-type": "multipart/form-data; boundary=b"},
            b"--b\r\n" + b"h" * 100_000 + b": x\r\n\r\n\r\n--b--\r\n",
            400,
            "bad-multipart",
        ),
        (
            {"content-type": "multipart/form-data; boundary=b"},
            b"--b\r\ncontent-disposition: form-data; name=urgency\r\n\r\nasap\r\n"
            b"--b\r\ncontent-disposition: form-data; name=file; filename=x\r\n\r\nx\r\n--b--\r\n",
            400,
            "bad-urgency",
        ),
    ],
)
async def test_bad_requests_get_a_sentence_and_leave_nothing(
    upload: Running, headers: dict, content: bytes, status: int, code: str
):
    answer = await upload.client.post("/api/send", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.json()["error"].endswith(".")
    assert nothing_left(upload)
    assert await upload.kit.documents.count(SUBMISSIONS) == 0


async def test_limits_of_one_request(accounts):
    async with serving(accounts, settings_of(max_file_bytes=1000, max_files=3)) as upload:
        answer = await upload.client.post("/api/send", content=b"x" * 1001)
        assert (answer.status_code, answer.json()["code"]) == (413, "file-too-large")
        files = [("file", (f"{n}", b"x")) for n in range(4)]
        answer = await upload.client.post("/api/send", files=files)
        assert (answer.status_code, answer.json()["code"]) == (413, "too-many-files")
        assert nothing_left(upload)


async def test_a_full_disk_at_the_last_step_leaves_nothing(upload: Running, monkeypatch):
    def full(*_):
        raise NoSpace("The storage is full.")

    monkeypatch.setattr(upload.kit.objects, "adopt", full)
    answer = await upload.client.post("/api/send", files=[("file", ("a", b"x"))])
    assert answer.status_code == 507
    assert nothing_left(upload)


async def test_an_early_refusal_reaches_a_client_that_is_still_sending(upload: Running):
    answer = await upload.client.post(
        "/api/send", content=os.urandom(40_000_000), headers={"authorization": "Bearer wrong"}
    )
    assert (answer.status_code, answer.headers["connection"]) == (401, "close")


async def test_a_client_that_asks_before_sending_is_spared_the_sending(upload: Running):
    host, port = upload.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"PUT /api/send HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer wrong\r\n"
        b"Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
    )
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 401 ")
    writer.close()
