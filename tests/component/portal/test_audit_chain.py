"""One chain however many append at once, and a check that finds what was changed in the store."""

import asyncio
from typing import Any

import httpx
import pytest

from kit.identity import Account
from kit.service import Kit
from kit.web import build_app
from schemas.forward import DeliveryRetried
from services.portal import trail
from services.portal.app import build
from services.portal.audit import changing
from services.portal.bootstrap import ensure_admin
from services.portal.models import AUDIT, AuditEntry
from services.portal.rules.chain import Head
from services.portal.settings import PortalSettings
from tests.component.portal.conftest import House
from tests.conftest import settle
from tests.unit.portal.samples import NOW

ADA = Account(id="ada", name="Ada")


async def enter(kit: Kit, number: int) -> None:
    await changing(kit, ADA, NOW, action="saw", kind="study", object_id=f"s{number}")


class _Alone(dict[Any, asyncio.Lock]):
    """As many processes as there are callers: nobody waits for anybody."""

    def setdefault(self, key: Any, default: Any = None) -> asyncio.Lock:
        return asyncio.Lock()


@pytest.mark.parametrize("processes", [False, True], ids=["one-process", "many-processes"])
async def test_many_at_once_make_one_chain(kit_env: Kit, monkeypatch: pytest.MonkeyPatch, processes: bool):
    if processes:
        monkeypatch.setattr(trail, "_turns", _Alone())
    await asyncio.gather(*(enter(kit_env, number) for number in range(40)))
    found = await trail.verify(kit_env, Head(), 1000)
    assert (found.head.seq, found.end, found.broken) == (40, True, None)
    page = await kit_env.documents.find(AUDIT, order="seq", limit=100)
    assert {entry.object_id for entry in page.items} == {f"s{number}" for number in range(40)}


async def test_in_parts_and_page_by_page(kit_env: Kit, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trail, "_PAGE", 3)
    for number in range(8):
        await enter(kit_env, number)
    part = await trail.verify(kit_env, Head(), 6)
    assert (part.head.seq, part.end) == (6, False)
    rest = await trail.verify(kit_env, part.head, 6)
    assert (rest.head.seq, rest.end, rest.broken) == (8, True, None)


@pytest.mark.parametrize(("how", "at"), [("changed", 3), ("taken out", 3), ("put in", 6)])
async def test_what_somebody_does_to_the_store_is_found(kit_env: Kit, how: str, at: int):
    for number in range(5):
        await enter(kit_env, number)
    third = await kit_env.documents.get(AUDIT, "000000000003")
    assert third is not None
    if how == "changed":
        third.account = "Somebody else"
        await kit_env.documents.save(AUDIT, third)
    elif how == "taken out":
        await kit_env.documents.delete(AUDIT, third)
    else:
        forged = third.model_copy(update={"id": "000000000006", "seq": 6})
        forged.version = 0
        await kit_env.documents.save(AUDIT, forged)
    found = await trail.verify(kit_env, Head(), 1000)
    assert found.broken is not None
    assert found.broken.seq == at


async def test_a_redelivered_event_is_entered_once(kit_env: Kit):
    build(kit_env, PortalSettings())
    await kit_env.bus.start()
    event = DeliveryRetried.first(
        time=NOW, key="s1", correlation_id="c", step="1", study_id="s1", delivery_id="d1",
        destination="pacs", account_id="ada", account="Ada",
    )  # fmt: skip
    for number in range(3):
        await kit_env.bus.publish([event.model_copy(update={"id": event.id if number < 2 else "other"})])
    await settle(kit_env)
    page = await kit_env.documents.find(AUDIT, {"object_id": "s1"}, order="time", limit=10)
    assert [(entry.action, entry.account) for entry in page.items] == [("retried", "Ada")] * 2


async def test_entries_of_an_earlier_version_are_counted_and_stay(kit_env: Kit):
    old = AuditEntry(
        id="old", time=NOW, account_id="ada", account="Ada", action="saw", kind="study", object_id="s"
    )
    await kit_env.documents.insert_many(AUDIT, [old])
    await enter(kit_env, 1)
    secret = await ensure_admin(kit_env)
    app = build_app(kit_env, [build(kit_env, PortalSettings())])
    transport, headers = httpx.ASGITransport(app=app), {"authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://here", headers=headers) as client:
        found = (await client.get("/api/audit/chain")).json()
    assert (found["broken_at"], found["end"], found["unchained"]) == (None, True, 1)


async def test_the_page_says_whether_it_holds(house: House):
    chief = await house.administrator()
    await chief.get("/admin/audit")
    await chief.post("/admin/audit/check")
    assert "The trail holds:" in chief.text
    third = await house.kit.documents.get(AUDIT, "000000000001")
    assert third is not None
    third.detail = "nothing"
    await house.kit.documents.save(AUDIT, third)
    await chief.get("/admin/audit")
    await chief.post("/admin/audit/check")
    assert "The trail does not hold at entry 1." in chief.text
