"""The resumable door on a real server."""

import asyncio
import base64
import hashlib
import os
import zlib
from datetime import datetime, timedelta

import httpx
import pytest

from kit.errors import NoSpace
from kit.sessions import COOKIE
from services.upload.documents import UPLOADS, UploadDoc
from services.upload.uploads import Uploads
from tests.component.upload.conftest import OTHER, SECRET, Running, serving, settings_of, stored_files, tar_of

TUS = {"tus-resumable": "1.0.0"}
CONTENT = {"content-type": "application/offset+octet-stream"}


def metadata(submission_id: str, ordinals: str) -> str:
    pairs = {"submission_id": submission_id, "ordinals": ordinals}
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


async def opened(upload: Running, **fields: object) -> str:
    answer = await upload.client.post("/api/submissions", json=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def created(upload: Running, submission_id: str, ordinals: str, length: int) -> str:
    answer = await upload.client.post(
        "/api/uploads",
        headers={**TUS, "upload-length": str(length), "upload-metadata": metadata(submission_id, ordinals)},
    )
    assert answer.status_code == 201, answer.text
    assert answer.headers["upload-offset"] == "0"
    assert "upload-expires" in answer.headers
    return answer.headers["location"]


async def patched(upload: Running, location: str, offset: int, content: object, **headers: str):
    return await upload.client.patch(
        location, headers={**TUS, **CONTENT, "upload-offset": str(offset), **headers}, content=content
    )


async def test_options_tell_what_is_spoken(upload: Running):
    answer = await upload.client.options("/api/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert "creation-with-upload" in answer.headers["tus-extension"]
    assert "sha256" in answer.headers["tus-checksum-algorithm"]


async def test_a_batch_in_one_request(upload: Running):
    submission_id = await opened(upload, declared_files=2)
    batch = tar_of({"0/a": b"one", "1/b/ä": b"two" * 1000})
    answer = await upload.client.post(
        "/api/uploads",
        headers={
            **TUS,
            **CONTENT,
            "upload-length": str(len(batch)),
            "upload-metadata": metadata(submission_id, "0-1"),
        },
        content=batch,
    )
    assert answer.status_code == 201, answer.text
    assert answer.headers["upload-offset"] == str(len(batch))
    (event,) = await upload.events("batch-received")
    assert (event.sequence, event.ordinals, event.submission_id) == (1, (0, 1), submission_id)
    assert stored_files(upload.kit, event) == {"0/a": b"one", "1/b/ä": b"two" * 1000}
    there = (await upload.client.get(f"/api/submissions/{submission_id}/ordinals")).json()
    assert there == {"ordinals": "0-1", "files": 2}
    closed = await upload.client.post(f"/api/submissions/{submission_id}/close")
    assert closed.json()["state"] == "closed"
    (event,) = await upload.events("submission-closed")
    assert (event.files, event.batches, event.reason) == (2, 1, "sender")


async def test_pieces_of_any_size_become_the_same_bytes(accounts):
    async with serving(accounts, settings_of(part_bytes=100_000)) as upload:
        submission_id = await opened(upload)
        batch = tar_of({"0/x": os.urandom(1_234_567)})
        location = await created(upload, submission_id, "0", len(batch))
        offset = 0
        for size in (1, 99_999, 100_000, 100_001, 7, 500_000, 10_000_000):
            piece = batch[offset : offset + size]
            answer = await patched(upload, location, offset, piece)
            assert answer.status_code == 204, answer.text
            offset += len(piece)
            assert answer.headers["upload-offset"] == str(offset)
        (event,) = await upload.events("batch-received")
        assert max(part.size for part in event.parts) <= 100_000
        assert b"".join(b"".join(upload.kit.objects.stream(part.key)) for part in event.parts) == batch
        again = await patched(upload, location, len(batch), b"")
        assert again.status_code == 204
        assert len(await upload.events("batch-received")) == 1


async def test_offsets_and_lengths_that_are_wrong_change_nothing(upload: Running):
    submission_id = await opened(upload)
    batch = tar_of({"0/x": b"x" * 5000})
    location = await created(upload, submission_id, "0", len(batch))
    answer = await patched(upload, location, 10, b"abc")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong-offset")
    answer = await patched(upload, location, 0, batch + b"more")
    assert (answer.status_code, answer.json()["code"]) == (400, "too-long")

    async def endless():
        for _ in range(100):
            yield b"z" * 1000

    answer = await patched(upload, location, 0, endless())
    assert (answer.status_code, answer.json()["code"]) == (400, "too-long")
    head = await upload.client.head(location, headers=TUS)
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == ("0", str(len(batch)))
    assert head.headers["cache-control"] == "no-store"
    assert (await patched(upload, location, 0, batch)).status_code == 204


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5", "crc32"])
async def test_a_checksum_counts_whole_or_not_at_all(accounts, algorithm: str):
    def digest(data: bytes) -> str:
        if algorithm == "crc32":
            return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
        return base64.b64encode(hashlib.new(algorithm, data).digest()).decode()

    async with serving(accounts, settings_of(part_bytes=10_000)) as upload:
        submission_id = await opened(upload)
        batch = tar_of({"0/x": os.urandom(45_000)})
        location = await created(upload, submission_id, "0", len(batch))
        wrong = await patched(
            upload, location, 0, batch[:30_000], **{"upload-checksum": f"{algorithm} {digest(b'other')}"}
        )
        assert wrong.status_code == 460
        assert (await upload.client.head(location, headers=TUS)).headers["upload-offset"] == "0"
        assert list(upload.kit.objects.list("incoming/")) == []
        for start, end in ((0, 30_000), (30_000, len(batch))):
            piece = batch[start:end]
            answer = await patched(
                upload, location, start, piece, **{"upload-checksum": f"{algorithm} {digest(piece)}"}
            )
            assert answer.status_code == 204, answer.text
        (event,) = await upload.events("batch-received")
        assert b"".join(b"".join(upload.kit.objects.stream(part.key)) for part in event.parts) == batch
        unknown = await patched(upload, location, len(batch), b"", **{"upload-checksum": "sha3 AAAA"})
        assert unknown.status_code == 400


async def test_one_process_takes_in_a_bounded_number_at_once(accounts):
    async with serving(accounts, settings_of(max_transfers=1)) as upload:
        submission_id = await opened(upload)
        first, second = tar_of({"0/x": os.urandom(400_000)}), tar_of({"1/x": os.urandom(1000)})
        location = await created(upload, submission_id, "0", len(first))
        other = await created(upload, submission_id, "1", len(second))
        host, port = upload.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"PATCH {location} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {SECRET}\r\n"
            f"Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n"
            f"Content-Length: {len(first)}\r\n\r\n".encode()
        )
        writer.write(first[:270_000])
        await writer.drain()
        async with asyncio.timeout(10):
            while (busy := await patched(upload, location, 0, b"")).status_code not in (423, 503):
                await asyncio.sleep(0.02)
        busy = await patched(upload, other, 0, second)
        assert (busy.status_code, busy.json()["code"]) == (503, "many-uploads")
        assert int(busy.headers["retry-after"]) > 0
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(10):
            while (later := await patched(upload, other, 0, second)).status_code == 503:
                await asyncio.sleep(0.02)
        assert later.status_code == 204


async def test_a_broken_connection_keeps_what_came(accounts):
    async with serving(accounts, settings_of(part_bytes=100_000)) as upload:
        submission_id = await opened(upload)
        batch = tar_of({"0/x": os.urandom(400_000)})
        location = await created(upload, submission_id, "0", len(batch))
        host, port = upload.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"PATCH {location} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {SECRET}\r\n"
            f"Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n"
            f"Content-Length: {len(batch)}\r\n\r\n".encode()
        )
        writer.write(batch[:270_000])
        await writer.drain()
        await asyncio.sleep(0.2)
        busy = await patched(upload, location, 0, batch)
        assert (busy.status_code, busy.json()["code"]) == (423, "upload-busy")
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(10):
            while True:
                head = await upload.client.head(location, headers=TUS)
                offset = int(head.headers["upload-offset"])
                if offset == 270_000:
                    break
                await asyncio.sleep(0.05)
        assert (await patched(upload, location, offset, batch[offset:])).status_code == 204
        (event,) = await upload.events("batch-received")
        assert b"".join(b"".join(upload.kit.objects.stream(part.key)) for part in event.parts) == batch


async def test_a_sender_back_on_another_connection_takes_over(upload: Running, monkeypatch):
    monkeypatch.setattr("services.upload.uploads._TAKE_OVER_AFTER_S", 0.2)
    submission_id = await opened(upload)
    batch = tar_of({"0/x": os.urandom(400_000)})
    location = await created(upload, submission_id, "0", len(batch))
    host, port = upload.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"PATCH {location} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {SECRET}\r\n"
        f"Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n"
        f"Content-Length: {len(batch)}\r\n\r\n".encode()
        + batch[:300_000]
    )
    await writer.drain()
    await asyncio.sleep(0.5)
    head = await upload.client.head(location, headers=TUS)
    assert head.headers["upload-offset"] == "300000"
    assert (await patched(upload, location, 300_000, batch[300_000:])).status_code == 204
    writer.close()


async def test_batches_side_by_side_get_every_sequence_once(upload: Running):
    submission_id = await opened(upload, declared_files=24)
    batches = [tar_of({f"{n}/x": os.urandom(20_000)}) for n in range(24)]

    async def send(number: int) -> None:
        answer = await upload.client.post(
            "/api/uploads",
            headers={
                **TUS,
                **CONTENT,
                "upload-length": str(len(batches[number])),
                "upload-metadata": metadata(submission_id, str(number)),
            },
            content=batches[number],
        )
        assert answer.status_code == 201, answer.text

    await asyncio.gather(*(send(number) for number in range(24)))
    events = await upload.events("batch-received")
    assert sorted(event.sequence for event in events) == list(range(1, 25))
    assert (await upload.client.post(f"/api/submissions/{submission_id}/close")).status_code == 200


async def test_the_same_ordinals_twice_are_refused_and_leave_nothing(upload: Running):
    submission_id = await opened(upload, declared_files=4)
    batch = tar_of({"0/x": b"x", "1/y": b"y"})
    first = await created(upload, submission_id, "0-1", len(batch))
    second = await created(upload, submission_id, "1-2", len(batch))
    assert (await patched(upload, first, 0, batch)).status_code == 204
    late = await patched(upload, second, 0, batch)
    assert (late.status_code, late.json()["code"]) == (409, "ordinals-received")
    assert (await upload.client.head(second, headers=TUS)).status_code == 404
    (event,) = await upload.events("batch-received")
    assert [stat.key for stat in upload.kit.objects.list("incoming/")] == [part.key for part in event.parts]


@pytest.mark.parametrize(
    ("ordinals", "length", "status", "code"),
    [
        (",", 10, 400, "bad-ordinals"),
        ("a-b", 10, 400, "bad-ordinals"),
        ("5-2", 10, 400, "bad-ordinals"),
        ("0-4", 10, 400, "bad-ordinals"),
        ("0-999999999", 10, 400, "too-many-in-batch"),
        ("0", 0, 400, "empty-batch"),
        ("0-1", 65 << 20, 413, "batch-too-large"),
        ("0", 17 << 30, 413, "batch-too-large"),
    ],
)
async def test_impossible_uploads_are_refused(
    upload: Running, ordinals: str, length: int, status: int, code: str
):
    submission_id = await opened(upload, declared_files=4)
    answer = await upload.client.post(
        "/api/uploads",
        headers={**TUS, "upload-length": str(length), "upload-metadata": metadata(submission_id, ordinals)},
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_others_see_nothing(upload: Running):
    submission_id = await opened(upload)
    location = await created(upload, submission_id, "0", 100)
    stranger = {"authorization": f"Bearer {OTHER}", **TUS}
    assert (await upload.client.head(location, headers=stranger)).status_code == 404
    assert (await upload.client.delete(location, headers=stranger)).status_code == 404
    answer = await upload.client.get(f"/api/submissions/{submission_id}", headers=stranger)
    assert answer.status_code == 404
    answer = await upload.client.post(
        "/api/uploads",
        headers={**stranger, "upload-length": "5", "upload-metadata": metadata(submission_id, "0")},
    )
    assert answer.status_code == 404
    assert (await upload.client.get("/api/submissions", headers=stranger)).json()["items"] == []
    none = await upload.client.get("/api/submissions", headers={"authorization": "Bearer wrong"})
    assert none.status_code == 401


async def test_terminating_frees_the_bytes(upload: Running):
    submission_id = await opened(upload)
    location = await created(upload, submission_id, "0", 300_000)
    assert (await patched(upload, location, 0, b"x" * 200_000)).status_code == 204
    assert list(upload.kit.objects.list("incoming/"))
    assert (await upload.client.delete(location, headers=TUS)).status_code == 204
    assert list(upload.kit.objects.list("incoming/")) == []
    assert (await upload.client.head(location, headers=TUS)).status_code == 404
    assert (await upload.client.post(f"/api/submissions/{submission_id}/close")).status_code == 200
    answer = await upload.client.post(
        "/api/uploads",
        headers={**TUS, "upload-length": "5", "upload-metadata": metadata(submission_id, "0")},
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "submission-closed")


async def test_what_another_process_just_added_to_stays_whole(
    upload: Running, monkeypatch: pytest.MonkeyPatch
):
    submission_id = await opened(upload)
    batch = tar_of({"0/x": os.urandom(100_000)})
    location = await created(upload, submission_id, "0", len(batch))
    assert (await patched(upload, location, 0, batch[:50_000])).status_code == 204
    remove = Uploads._remove

    async def just_saved_by_another(self: Uploads, doc: UploadDoc) -> None:
        fresh = await upload.kit.documents.get(UPLOADS, doc.id)
        assert fresh is not None
        await upload.kit.documents.save(UPLOADS, fresh)
        await remove(self, doc)

    monkeypatch.setattr(Uploads, "_remove", just_saved_by_another)
    answer = await upload.client.delete(location, headers=TUS)
    assert (answer.status_code, answer.json()["code"]) == (409, "changed-meanwhile")
    assert (await patched(upload, location, 50_000, batch[50_000:])).status_code == 204
    assert (await upload.client.post(f"/api/submissions/{submission_id}/close")).json()["files"] == 1


async def test_while_its_bytes_go_no_clock_lets_anybody_add(upload: Running, monkeypatch: pytest.MonkeyPatch):
    submission_id = await opened(upload)
    location = await created(upload, submission_id, "0", 100_000)
    assert (await patched(upload, location, 0, b"x" * 50_000)).status_code == 204
    seen: list[datetime] = []
    delete = upload.kit.documents.delete

    async def meanwhile(collection, doc) -> None:
        fresh = await upload.kit.documents.get(UPLOADS, doc.id)
        assert fresh is not None
        seen.append(fresh.expires_at)
        await delete(collection, doc)

    monkeypatch.setattr(upload.kit.documents, "delete", meanwhile)
    assert (await upload.client.delete(location, headers=TUS)).status_code == 204
    assert seen[0] < upload.kit.clock() - timedelta(days=365)


async def test_taking_back_frees_a_full_disk(upload: Running, monkeypatch: pytest.MonkeyPatch):
    submission_id = await opened(upload)
    location = await created(upload, submission_id, "0", 100_000)
    assert (await patched(upload, location, 0, b"x" * 50_000)).status_code == 204
    save = upload.kit.documents.save

    async def full(collection, doc, emits=()):
        if collection is UPLOADS:
            raise NoSpace("The storage is full.")
        return await save(collection, doc, emits=emits)

    monkeypatch.setattr(upload.kit.documents, "save", full)
    assert (await upload.client.delete(location, headers=TUS)).status_code == 204
    assert list(upload.kit.objects.list("incoming/")) == []


async def test_uploads_expire(accounts):
    async with serving(accounts, settings_of(upload_expires_s=1, submission_expires_s=2)) as upload:
        submission_id = await opened(upload)
        location = await created(upload, submission_id, "0", 300_000)
        await patched(upload, location, 0, b"x" * 200_000)
        async with asyncio.timeout(15):
            while (await upload.client.head(location, headers=TUS)).status_code not in (404, 410):
                await asyncio.sleep(0.1)
            while await upload.kit.documents.count(UPLOADS):
                await asyncio.sleep(0.1)
            while not (events := await upload.events("submission-closed")):
                await asyncio.sleep(0.1)
        assert list(upload.kit.objects.list("incoming/")) == []
        assert (events[0].reason, events[0].files) == ("expired", 0)


async def test_versions_and_headers_are_checked(upload: Running):
    submission_id = await opened(upload)
    location = await created(upload, submission_id, "0", 10)
    assert (await upload.client.head(location)).status_code == 412
    answer = await upload.client.patch(location, headers={**TUS, "upload-offset": "0"}, content=b"x")
    assert answer.status_code == 415
    answer = await upload.client.patch(
        location, headers={**TUS, **CONTENT, "upload-offset": "-1"}, content=b"x"
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-header")
    answer = await upload.client.post(
        location,
        headers={**TUS, **CONTENT, "upload-offset": "0", "x-http-method-override": "PATCH"},
        content=b"x",
    )
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "1")
    deferred = await upload.client.post("/api/uploads", headers={**TUS, "upload-defer-length": "1"})
    assert (deferred.status_code, deferred.json()["code"]) == (400, "length-needed")


async def test_a_full_disk_answers_507_and_keeps_what_it_has(accounts, monkeypatch):
    async with serving(accounts, settings_of(part_bytes=50_000)) as upload:
        submission_id = await opened(upload)
        batch = tar_of({"0/x": os.urandom(200_000)})
        location = await created(upload, submission_id, "0", len(batch))
        writer = upload.kit.objects.writer

        def full(key: str):
            if key.endswith("00002"):
                raise NoSpace("The storage is full.")
            return writer(key)

        monkeypatch.setattr(upload.kit.objects, "writer", full)
        answer = await patched(upload, location, 0, batch)
        assert answer.status_code == 507
        monkeypatch.setattr(upload.kit.objects, "writer", writer)
        head = await upload.client.head(location, headers=TUS)
        assert head.headers["upload-offset"] == "100000"
        assert (await patched(upload, location, 100_000, batch[100_000:])).status_code == 204


async def test_below_the_reserve_nothing_begins(accounts):
    async with serving(accounts, settings_of(reserve_bytes=1 << 60)) as upload:
        submission_id = await opened(upload)
        answer = await upload.client.post(
            "/api/uploads",
            headers={**TUS, "upload-length": "5", "upload-metadata": metadata(submission_id, "0")},
        )
        assert answer.status_code == 507
        assert (await upload.client.post("/api/send", content=b"x")).status_code == 507
        assert "disk is nearly full" in (await upload.client.get("/readyz")).json()["disk space"]


async def test_a_sender_that_stalls_is_let_go(accounts):
    async with serving(accounts, settings_of(body_timeout_s=0.5)) as upload:
        submission_id = await opened(upload)
        location = await created(upload, submission_id, "0", 500_000)

        async def stalling():
            yield b"x" * 100_000
            await asyncio.sleep(3)

        answer = await patched(upload, location, 0, stalling())
        assert (answer.status_code, answer.json()["code"]) == (408, "too-slow")
        head = await upload.client.head(location, headers=TUS)
        assert head.headers["upload-offset"] == "100000"


async def test_failures_are_slowed_down(accounts):
    async with serving(accounts, settings_of(max_failures=3)) as upload:
        for _ in range(3):
            assert (await upload.client.get("/api/submissions/none")).status_code == 404
        answer = await upload.client.get("/api/submissions/none")
        assert answer.status_code == 429
        assert answer.headers["retry-after"]
        other = await upload.client.get("/api/submissions", headers={"authorization": f"Bearer {OTHER}"})
        assert other.status_code == 200


async def test_strangers_slow_down_nobody_but_themselves(accounts):
    async with serving(accounts, settings_of(max_failures=3)) as upload:
        async with httpx.AsyncClient(base_url=upload.url) as stranger:
            statuses = [(await stranger.get("/api/submissions")).status_code for _ in range(5)]
            assert statuses == [401, 401, 401, 429, 429]
            cookie = {"cookie": f"{COOKIE}=a-browser-that-is-or-was-signed-in"}
            assert (await stranger.get("/api/submissions", headers=cookie)).status_code == 401
        assert (await upload.client.get("/api/submissions")).status_code == 200


async def test_creating_again_replaces_what_broke_off(upload: Running):
    submission_id = await opened(upload)
    batch = tar_of({"0/x": b"x" * 300_000})
    first = await created(upload, submission_id, "0", len(batch))
    await patched(upload, first, 0, batch[:200_000])
    second = await created(upload, submission_id, "0", len(batch))
    assert (await upload.client.head(first, headers=TUS)).status_code == 404
    assert list(upload.kit.objects.list("incoming/")) == []
    assert (await patched(upload, second, 0, batch)).status_code == 204
    assert (await upload.client.post(f"/api/submissions/{submission_id}/close")).status_code == 200


async def test_a_disk_that_is_full_at_the_last_step_costs_nothing_that_was_sent(
    upload: Running, monkeypatch: pytest.MonkeyPatch
):
    submission_id = await opened(upload, files=[{"path": "a", "size": 1000}])
    batch = tar_of({"0/a": bytes(1000)})
    location = await created(upload, submission_id, "0", len(batch))
    save, full = upload.kit.documents.save, True

    async def saved(collection, doc, emits=()):
        if full and collection.name == "submissions" and emits:
            raise NoSpace("The disk is full.")
        return await save(collection, doc, emits)

    monkeypatch.setattr(upload.kit.documents, "save", saved)
    assert (await patched(upload, location, 0, batch)).status_code == 507
    full = False
    head = await upload.client.head(location, headers=TUS)
    assert (head.status_code, head.headers["upload-offset"]) == (200, str(len(batch)))
    assert (await upload.client.get(f"/api/submissions/{submission_id}/ordinals")).json()["ordinals"] == "0"
    assert (await upload.client.post(f"/api/submissions/{submission_id}/close")).status_code == 200


async def test_another_s_transfer_is_not_ended(upload: Running, monkeypatch: pytest.MonkeyPatch):
    submission_id = await opened(upload, declared_files=1)
    location = await created(upload, submission_id, "0", 100)
    ended: list[str] = []

    async def take_over(_: object, upload_id: str) -> bool:
        ended.append(upload_id)
        return False

    monkeypatch.setattr(Uploads, "_take_over", take_over)
    for method in ("PATCH", "DELETE"):
        headers = {**TUS, **CONTENT, "upload-offset": "0", "authorization": f"Bearer {OTHER}"}
        answer = await upload.client.request(method, location, headers=headers, content=b"x")
        assert answer.status_code == 404, answer.text
    assert ended == []
