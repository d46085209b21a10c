"""GET /api/submissions/{id}/outcome."""

from collections.abc import AsyncIterator

import httpx
import pytest

from kit.identity import ACCOUNTS, TOKENS, Account, Role, Token, token_id
from kit.web import build_app
from services.validate import tasks
from services.validate.jobs import BatchResult
from tests.component.validate.conftest import House
from tests.component.validate.files import dicom
from tests.component.validate.test_validate_archives import zipped
from tests.conftest import settle

SUMS = ("stored", "duplicate", "document", "refused", "quarantined", "waiting")


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    for name, role in (("clinic", Role.SEND), ("other", Role.SEND), ("doctor", Role.APPROVE)):
        await house.kit.documents.save(ACCOUNTS, Account(id=name, name=name, roles=[role]))
        await house.kit.documents.save(
            TOKENS, Token(id=token_id(name), account_id=name, created_at=house.kit.clock())
        )
    transport = httpx.ASGITransport(app=build_app(house.kit, [house.service]))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as made:
        yield made


async def outcome(
    client: httpx.AsyncClient, submission: str, who: str = "clinic", **query: object
) -> httpx.Response:
    return await client.get(
        f"/api/submissions/{submission}/outcome",
        headers={"authorization": f"Bearer {who}"},
        params={key: str(value) for key, value in query.items()},
    )


async def test_what_became_of_every_file(house: House, client: httpx.AsyncClient) -> None:
    files = [
        ("a.dcm", dicom()),
        ("a2.dcm", dicom()),
        ("b.pdf", b"%PDF-1.4"),
        ("c.zip", zipped({"x.exe": b"MZ123"})),
    ]
    # both images in one batch: of two batches, either may be the first to be merged
    submission = await house.send(files, per_batch=2)
    body = (await outcome(client, submission)).json()
    assert body["state"] == "validated"
    assert body["antivirus"] == "off"
    assert (body["sent"], [body[name] for name in SUMS]) == (4, [1, 1, 1, 1, 0, 0])
    assert [(file["file"], file["state"], file["path"]) for file in body["files"]] == [
        ("0", "stored", "a.dcm"),
        ("1", "duplicate", "a2.dcm"),
        ("2", "document", "b.pdf"),
        ("3.1", "refused", "c.zip/x.exe"),
    ]
    assert body["files"][3]["text"].startswith("A program")
    assert body["files"][0]["study"] == body["studies"][0]
    assert body["cursor"] is None


async def test_pages(house: House, client: httpx.AsyncClient) -> None:
    submission = await house.send([(f"{n}", b"text %d" % n) for n in range(25)], per_batch=4)
    names: list[str] = []
    cursor = None
    while True:
        body = (await outcome(client, submission, limit=7, **({"cursor": cursor} if cursor else {}))).json()
        names += [file["path"] for file in body["files"]]
        cursor = body["cursor"]
        if cursor is None:
            break
    assert names == [str(n) for n in range(25)]
    assert (await outcome(client, submission, limit=0)).json()["files"] == []
    assert (await outcome(client, submission, cursor="nonsense")).status_code == 400


async def test_who_may_ask(house: House, client: httpx.AsyncClient) -> None:
    submission = await house.send([("a", dicom())])
    assert (await outcome(client, submission, "doctor")).status_code == 200
    refused = await outcome(client, submission, "other")
    unknown = await outcome(client, "0" * 32)
    assert refused.status_code == unknown.status_code == 404
    assert refused.json() == unknown.json()
    assert (await client.get(f"/api/submissions/{submission}/outcome")).status_code == 401


def _away(objects: object, job: object) -> BatchResult:
    return BatchResult(unavailable="antivirus-away")


async def test_the_sums_agree_while_files_wait(
    house: House, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "read_batch", _away)
    submission = await house.send([(str(n), dicom(number=n)) for n in range(1, 6)], per_batch=2, wait=False)
    await settle(house.kit)
    body = (await outcome(client, submission)).json()
    assert (body["state"], body["sent"], body["waiting"]) == ("validating", 5, 5)
    assert [file["file"] for file in body["files"]] == ["0", "1", "2", "3", "4"]
    assert {file["code"] for file in body["files"]} <= {"antivirus-away", "queued"}
    monkeypatch.undo()
    await house.validated(submission)
    body = (await outcome(client, submission)).json()
    assert (body["state"], body["stored"]) == ("validated", 5)


async def test_the_sums_agree_at_every_moment(house: House, client: httpx.AsyncClient) -> None:
    inner = zipped({f"{n}.dcm": dicom(number=n) for n in range(1, 41)})
    files = [(str(n), dicom(number=n)) for n in range(1, 31)] + [
        ("z.zip", zipped({"i.zip": inner, "t": b"MZ"}))
    ]
    submission = await house.send(files, per_batch=3, wait=False)
    states = set()
    while "validated" not in states:
        answer = await outcome(client, submission, limit=0)
        if answer.status_code == 404:
            continue
        body = answer.json()
        states.add(body["state"])
        assert body["sent"] == sum(body[name] for name in SUMS)
        assert body["sent"] >= 31 or body["state"] == "open"
    assert body["sent"] == 30 + 41
    assert (body["stored"], body["duplicate"], body["refused"]) == (40, 30, 1)
