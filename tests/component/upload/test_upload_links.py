"""Sending by a browser's session: somebody who came by a one-time link, and recipients by account."""

import base64
import io
import tarfile
from datetime import timedelta

import httpx

from kit.clock import utc_now
from kit.identity import ACCOUNTS, Account, Role, by_grant, token_id
from kit.sessions import COOKIE, GRANTS, SESSIONS, Grant, Session
from schemas.shapes import Person
from tests.component.upload.conftest import Running

_PAGE = {"sec-fetch-site": "same-origin"}


async def guest(upload: Running, secret: str = "secret-of-a-guest-0123456789") -> httpx.AsyncClient:
    now = utc_now()
    grant = Grant(
        id=token_id(f"link-{secret}"),
        kind="upload-link",
        label="Dr. Petrov",
        made_by="okafor",
        created_at=now,
        expires_at=now + timedelta(days=1),
        recipients=[Person(name="Dr. Okafor", account_id="okafor")],
        purpose="Second opinion",
    )
    session = Session(
        id=token_id(secret),
        kind="upload-link",
        grant_id=grant.id,
        created_at=now,
        seen_at=now,
        expires_at=grant.expires_at,
    )
    await upload.kit.documents.save(GRANTS, grant)
    await upload.kit.documents.save(SESSIONS, session)
    return httpx.AsyncClient(base_url=upload.url, cookies={COOKIE: secret}, headers=_PAGE)


async def send_one(client: httpx.AsyncClient, submission: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("0/IM1")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
    body = buffer.getvalue()
    metadata = {"submission_id": submission, "ordinals": "0"}
    pairs = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in metadata.items())
    headers = {
        "tus-resumable": "1.0.0",
        "upload-length": str(len(body)),
        "upload-metadata": pairs,
        "content-type": "application/offset+octet-stream",
    }
    assert (await client.post("/api/uploads", content=body, headers=headers)).status_code == 201


async def test_a_link_sends_once_to_whom_it_was_made_for(upload: Running) -> None:
    async with await guest(upload) as client:
        other = [{"name": "Somebody else", "email": "else@x.example"}]
        opening = {"client_id": "cd", "files": [{"path": "IM1", "size": 3}], "recipients": other}
        made = (await client.post("/api/submissions", json=opening)).json()
        assert [person["account_id"] for person in made["recipients"]] == ["okafor"]
        assert (made["purpose"], made["sender"]["door"]) == ("Second opinion", "portal")
        assert made["sender"]["origin"] == made["sender"]["id"], "its studies are nobody else's"
        await send_one(client, made["id"])
        assert (await client.post(f"/api/submissions/{made['id']}/close")).json()["state"] == "closed"
        again = await client.post("/api/submissions", json=opening)
        assert (again.status_code, again.json()["id"]) == (200, made["id"])
        more = await client.post("/api/submissions", json={"client_id": "another"})
        assert (more.status_code, more.json()["code"]) == (409, "link-used")
        nameless = await client.post("/api/submissions", json={})
        assert nameless.json()["code"] == "link-used"


async def test_two_patients_begun_side_by_side_may_both_be_finished(upload: Running) -> None:
    async with await guest(upload) as client:
        opened = [
            (
                await client.post(
                    "/api/submissions", json={"client_id": name, "files": [{"path": "IM1", "size": 3}]}
                )
            ).json()["id"]
            for name in ("one", "two")
        ]
        for submission in opened:
            await send_one(client, submission)
            closed = await client.post(f"/api/submissions/{submission}/close")
            assert closed.json()["state"] == "closed"


async def test_doors_without_an_end_are_closed_to_links(upload: Running) -> None:
    async with await guest(upload) as client:
        assert (await client.post("/api/send", files={"file": ("a", b"abc")})).status_code == 403
        assert (await client.post("/dicomweb/studies", content=b"")).status_code == 403


async def test_a_foreign_page_can_not_send_with_the_cookie(upload: Running) -> None:
    async with await guest(upload) as client:
        foreign = await client.post("/api/submissions", json={}, headers={"sec-fetch-site": "cross-site"})
        assert foreign.status_code == 403


async def test_a_revoked_link_sends_no_more(upload: Running) -> None:
    async with await guest(upload) as client:
        made = (await client.post("/api/submissions", json={"client_id": "cd"})).json()
        grant = (await upload.kit.documents.find(GRANTS)).items[0]
        grant.revoked_at = utc_now()
        await upload.kit.documents.save(GRANTS, grant)
        upload.kit.identity.forget()
        assert (await client.post(f"/api/submissions/{made['id']}/close")).status_code == 401


async def test_recipients_by_account_go_under_the_accounts_name(upload: Running) -> None:
    okafor = Account(id="okafor", name="Dr. Ines Okafor", email="ines@hospital.example", roles=[Role.VIEW])
    await upload.kit.documents.save(ACCOUNTS, okafor)
    wanted = {"recipients": [{"name": "A patient's name", "email": "x@y.example", "account_id": "okafor"}]}
    made = (await upload.client.post("/api/submissions", json=wanted)).json()
    assert made["recipients"][0]["name"] == "Dr. Ines Okafor"
    assert "example" not in str(made["recipients"])
    nobody = await upload.client.post("/api/submissions", json={"recipients": [{"account_id": "nobody"}]})
    assert (nobody.status_code, nobody.json()["code"]) == (400, "no-recipient")


def test_a_guests_account_is_made_up() -> None:
    now = utc_now()
    grant = Grant(id="a" * 64, kind="upload-link", label="X", made_by="y", created_at=now, expires_at=now)
    who = by_grant(grant)
    assert who.account.roles == [Role.SEND]
    assert who.account.id.startswith("link-")
