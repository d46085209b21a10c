"""Opening, looking, closing: the submissions API on a real server."""

import asyncio

from kit.errors import VersionConflict
from services.upload.documents import MANIFESTS, SUBMISSIONS
from tests.component.upload.conftest import SECRET, Running
from tests.component.upload.test_upload_tus import created, opened, patched, tar_of


async def test_opening_is_idempotent_by_client_id(upload: Running):
    files = [{"path": "a", "size": 1}, {"path": "ü/b", "size": 2}]
    opening = {
        "client_id": "folder-1",
        "files": files,
        "purpose": "second opinion",
        "urgency": "urgent",
        "recipients": [{"name": "Dr. Huber", "email": "huber@hospital.example"}],
    }
    first = await upload.client.post("/api/submissions", json=opening)
    again = await upload.client.post("/api/submissions", json=opening)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    other = await upload.client.post("/api/submissions", json={**opening, "files": files[:1]})
    assert (other.status_code, other.json()["code"]) == (409, "client-id-reused")
    (event,) = await upload.events("submission-opened")
    assert (event.declared_files, event.urgency, event.recipients[0].email) == (
        2,
        "urgent",
        "huber@hospital.example",
    )
    manifest = (await upload.client.get(f"/api/submissions/{first.json()['id']}/manifest")).json()
    assert manifest == {"start": 0, "files": files, "next": None}


async def test_a_manifest_of_twenty_thousand_files(upload: Running):
    files = [{"path": f"disc/series-{n // 500}/image-{n:05d}.dcm", "size": n} for n in range(20_000)]
    answer = await upload.client.post("/api/submissions", json={"files": files, "client_id": "big"})
    assert answer.status_code == 201, answer.text
    submission_id = answer.json()["id"]
    assert answer.json()["declared_bytes"] == sum(range(20_000))
    assert await upload.kit.documents.count(MANIFESTS, {"submission_id": submission_id}) == 20
    start, seen = 0, []
    while start is not None:
        page = (
            await upload.client.get(f"/api/submissions/{submission_id}/manifest", params={"start": start})
        ).json()
        seen += page["files"]
        start = page["next"]
    assert seen == files
    stored = await upload.kit.documents.get(SUBMISSIONS, submission_id)
    assert len(stored.model_dump_json()) < 2000


async def test_too_many_files_and_too_much_manifest(upload: Running):
    answer = await upload.client.post("/api/submissions", json={"declared_files": 50_001})
    assert (answer.status_code, answer.json()["code"]) == (400, "too-many-files")

    async def endless():
        yield b'{"note": "'
        for _ in range(40):
            yield b"x" * (1 << 20)

    answer = await upload.client.post("/api/submissions", content=endless())
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


async def test_nonsense_gets_a_sentence(upload: Running):
    for body in (b"[1,2", b"[]", b'{"files": [{"path": 5}]}', b'{"urgency": "asap"}', b"\xff\xfe"):
        answer = await upload.client.post("/api/submissions", content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
        assert answer.json()["error"].endswith(".")


async def test_closing_names_what_is_missing(upload: Running):
    submission_id = await opened(upload, declared_files=10)
    batch = tar_of({"3/x": b"x", "4/y": b"y"})
    location = await created(upload, submission_id, "3-4", len(batch))
    await patched(upload, location, 0, batch)
    answer = await upload.client.post(f"/api/submissions/{submission_id}/close")
    assert (answer.status_code, answer.json()["code"], answer.json()["missing"]) == (
        409,
        "incomplete",
        "0-2,5-9",
    )
    answer = await upload.client.post(f"/api/submissions/{submission_id}/close", json={"incomplete": True})
    assert (answer.json()["state"], answer.json()["files"]) == ("closed", 2)
    again = await upload.client.post(f"/api/submissions/{submission_id}/close")
    assert again.json() == answer.json()
    assert len(await upload.events("submission-closed")) == 1


async def test_closing_waits_for_running_uploads_of_unknown_count(upload: Running):
    submission_id = await opened(upload)
    batch = tar_of({"0/x": b"x"})
    location = await created(upload, submission_id, "0", len(batch))
    answer = await upload.client.post(f"/api/submissions/{submission_id}/close")
    assert (answer.status_code, answer.json()["code"]) == (409, "uploads-open")
    await patched(upload, location, 0, batch)
    assert (await upload.client.post(f"/api/submissions/{submission_id}/close")).status_code == 200


async def test_registering_meets_other_processes_as_conflicts(upload: Running, monkeypatch):
    submission_id = await opened(upload)
    documents = upload.kit.documents
    save = documents.save
    failures = iter([True, True, False])

    async def crowded(collection, doc, emits=()):
        if collection is SUBMISSIONS and next(failures, False):
            raise VersionConflict("submissions", doc.id, doc.version)
        return await save(collection, doc, emits)

    monkeypatch.setattr(documents, "save", crowded)
    batch = tar_of({"0/x": b"x"})
    location = await created(upload, submission_id, "0", len(batch))
    assert (await patched(upload, location, 0, batch)).status_code == 204
    (event,) = await upload.events("batch-received")
    assert event.sequence == 1


async def test_lists_are_paged_newest_first(upload: Running):
    made = [await opened(upload, note=str(n)) for n in range(5)]
    await upload.client.post(f"/api/submissions/{made[0]}/close")
    first = (await upload.client.get("/api/submissions", params={"limit": 3})).json()
    rest = (
        await upload.client.get("/api/submissions", params={"limit": 3, "cursor": first["cursor"]})
    ).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == made[::-1]
    assert rest["cursor"] is None
    closed = (await upload.client.get("/api/submissions", params={"state": "closed"})).json()
    assert [item["id"] for item in closed["items"]] == made[:1]


async def test_a_content_length_that_lies_ends_the_connection(upload: Running):
    host, port = upload.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST /api/submissions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {SECRET}\r\n"
        f"Content-Length: {1 << 62}\r\n\r\n".encode()
    )
    answer = await reader.read()
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert b"connection: close" in answer.lower()
    writer.close()


async def test_a_manifest_of_millions_is_refused_before_it_is_parsed(upload: Running, monkeypatch):
    def never(*_: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr("services.upload.submissions.Opening.model_validate_json", never)
    for item in (b'{"path":"","size":0}', b"0", b"{}"):
        body = b'{"files":[' + b",".join([item] * 600_000) + b"]}"
        answer = await upload.client.post("/api/submissions", content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "too-many-files")


async def test_the_first_wrong_file_of_a_manifest_ends_its_reading(upload: Running):
    body = b'{"files":[' + b",".join([b"{}"] * 400_000) + b"]}"
    answer = await upload.client.post("/api/submissions", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert "files.0" in answer.json()["error"]
    assert "files.1" not in answer.json()["error"]
