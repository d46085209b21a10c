"""The HTTP API of forward."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from kit.access import AUDIENCES, Audience, account_key
from kit.documents.port import Documents
from kit.identity import ACCOUNTS, TOKENS, Account, Role, Token, token_id
from kit.service import Kit
from kit.web import build_app
from services.forward.app import build
from services.forward.rules.states import State
from tests.component.forward.badpacs import ScriptedPacs
from tests.component.forward.studies import NOW, QUICK, Running, ct, decided, make_study


async def token(documents: Documents, *roles: Role) -> dict[str, str]:
    name = "-".join(roles)
    await documents.save(ACCOUNTS, Account(id=name, name=name, roles=list(roles)))
    await documents.save(TOKENS, Token(id=token_id(name), account_id=name, created_at=NOW))
    return {"Authorization": f"Bearer {name}"}


@dataclass
class Site:
    running: Running
    http: httpx.AsyncClient


@pytest.fixture
async def site(kit_env: Kit) -> AsyncIterator[Site]:
    service = build(kit_env, QUICK)
    app = build_app(kit_env, [service])
    await kit_env.bus.start()
    for start in service.start:
        await start()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        yield Site(Running(kit_env), http)
    for stop in service.stop:
        await stop()


async def test_a_failed_delivery_is_shown_retried_and_proven(
    site: Site, kit_env: Kit, tmp_path: Path
) -> None:
    approver = await token(kit_env.documents, Role.APPROVE)
    viewer = await token(kit_env.documents, Role.VIEW_ALL)
    well = asyncio.Event()
    pacs = ScriptedPacs(status=lambda uid, times: 0 if well.is_set() else 0xC001)
    with pacs.running():
        await site.running.destination(**pacs.destination())
        event = decided(make_study(kit_env, ct(tmp_path / "ct", 2)), "pacs")
        await site.running.decide(event)
        await site.running.ended(event, "pacs")

        answer = await site.http.get(f"/api/deliveries?study_id={event.decision.study_id}", headers=viewer)
        (shown,) = answer.json()["deliveries"]
        assert (shown["state"], shown["sent"], shown["total"]) == ("failed", 0, 2)
        assert shown["error"].startswith("2 of 2 images were not accepted. The destination does not")

        path = f"/api/deliveries/{shown['id']}/retry"
        assert (await site.http.post(path, headers=viewer)).status_code == 403
        well.set()
        answer = await site.http.post(path, headers=approver)
        assert (answer.status_code, answer.json()["state"]) == (200, "queued")
        delivery = await site.running.ended(event, "pacs")
        assert delivery.state is State.PROVEN, delivery.last_error

        answer = await site.http.get("/api/deliveries?state=proven", headers=viewer)
        (shown,) = answer.json()["deliveries"]
        assert shown["proof"]["kind"] == "image-query"
        assert shown["error"] == ""
        answer = await site.http.post(path, headers=approver)
        assert (answer.status_code, answer.json()["code"]) == (409, "not-failed")
    assert len(await site.running.events("forward-failed")) == 1
    assert len(await site.running.events("study-forwarded")) == 1


async def test_a_replaced_delivery_is_not_retried(site: Site, kit_env: Kit, tmp_path: Path) -> None:
    approver = await token(kit_env.documents, Role.APPROVE)
    study = make_study(kit_env, ct(tmp_path / "ct", 1))
    first = decided(study, "nowhere")
    await site.running.decide(first)
    delivery = await site.running.ended(first, "nowhere")
    await site.running.decide(decided(study, action="decline", minutes=1))
    async with asyncio.timeout(30):
        while any((await kit_env.bus.lag()).values()):
            await asyncio.sleep(0.01)
    answer = await site.http.post(f"/api/deliveries/{delivery.id}/retry", headers=approver)
    assert (answer.status_code, answer.json()["code"]) == (409, "newer-decision")


async def test_echo_says_in_plain_words_how_a_destination_is(site: Site, kit_env: Kit) -> None:
    admin = await token(kit_env.documents, Role.ADMIN)
    pacs = ScriptedPacs()
    with pacs.running():
        await site.running.destination(**pacs.destination())
        answer = await site.http.post("/api/destinations/pacs/echo", headers=admin)
        assert (answer.json()["ok"], answer.json()["text"]) == (True, "The destination answers.")
        assert answer.json()["said"]["code"] == "answers"
    answer = await site.http.post("/api/destinations/pacs/echo", headers=admin)
    assert answer.json()["ok"] is False
    assert answer.json()["text"].startswith("The destination is not usable: PACS 127.0.0.1:")
    (neighbour,) = answer.json()["said"]["because"]
    assert [clause["code"] for clause in neighbour["because"]] == ["connection-refused"]
    await site.running.destination(id="odd", host="127.0.0.1", port=1, called_ae="x" * 17)
    answer = await site.http.post("/api/destinations/odd/echo", headers=admin)
    assert "AE title" in answer.json()["text"]
    assert (await site.http.post("/api/destinations/none/echo", headers=admin)).status_code == 404


async def test_a_physician_sees_deliveries_of_studies_shown_to_them(
    site: Site, kit_env: Kit, tmp_path: Path
) -> None:
    physician = await token(kit_env.documents, Role.VIEW)
    study = make_study(kit_env, ct(tmp_path / "ct", 1))
    event = decided(study, "nowhere")
    await site.running.decide(event)
    await site.running.ended(event, "nowhere")
    path = f"/api/deliveries?study_id={study.id}"
    assert (await site.http.get("/api/deliveries", headers=physician)).status_code == 403
    assert (await site.http.get(path, headers=physician)).status_code == 404
    await kit_env.documents.save(AUDIENCES, Audience(id=study.id, keys=[account_key("view")]))
    answer = await site.http.get(path, headers=physician)
    assert [row["study_id"] for row in answer.json()["deliveries"]] == [study.id]


async def test_strangers_see_nothing(site: Site, kit_env: Kit) -> None:
    sender = await token(kit_env.documents, Role.SEND)
    assert (await site.http.get("/api/deliveries")).status_code == 401
    assert (await site.http.get("/api/deliveries", headers=sender)).status_code == 403
    assert (await site.http.post("/api/destinations/x/echo", headers=sender)).status_code == 403
    assert (await site.http.post("/api/deliveries/x/retry", headers=sender)).status_code == 403
