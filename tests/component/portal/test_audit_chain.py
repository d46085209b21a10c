"""One chain however many append at once, and a check that finds what was changed in the store."""

import asyncio
from dataclasses import replace
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
from services.portal.pages.admin import trail as trail_page
from services.portal.rules.chain import Broken, Head
from services.portal.settings import PortalSettings
from services.portal.witness import Witness
from tests.component.portal.conftest import House
from tests.conftest import settle
from tests.unit.portal.samples import NOW

ADA = Account(id="ada", name="Ada")


async def enter(kit: Kit, number: int) -> None:
    await changing(kit, ADA, NOW, action="saw", kind="study", object_id=f"s{number}")


def old(name: str, **fields: Any) -> AuditEntry:
    """As a version without a chain wrote it, or somebody who does not have the secret."""
    return AuditEntry(
        id=name,
        time=NOW,
        account_id="ada",
        account="Ada",
        action="saw",
        kind="study",
        object_id="s",
        **fields,
    )


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


@pytest.mark.parametrize("seq", [None, 0, -1])
async def test_an_entry_that_is_not_of_the_chain_is_found(kit_env: Kit, seq: int | None):
    for number in range(3):
        await enter(kit_env, number)
    end = (await trail.verify(kit_env, Head(), 1000)).head
    await kit_env.documents.save(AUDIT, old("forged", seq=seq))
    reason = "older" if seq is None else "foreign"
    assert (await trail.verify(kit_env, Head(), 1000)).broken == Broken(0, reason)
    assert (await trail.verify(kit_env, end, 1000)).broken == Broken(0, "foreign"), "in a later part too"


class _Anything(AuditEntry):
    """What somebody puts in its place need not be an entry."""

    time: str  # type: ignore[assignment]


@pytest.mark.parametrize(("seq", "expected"), [(3, Broken(3, "changed")), (None, Broken(0, "older"))])
async def test_what_is_no_entry_any_more_is_found_as_well(kit_env: Kit, seq: int | None, expected: Broken):
    await kit_env.documents.insert_many(AUDIT, [old("old")])
    for number in range(6):
        await enter(kit_env, number)
    name = f"{seq:012d}" if seq else "old"
    stored = await kit_env.documents.get(AUDIT, name)
    assert stored is not None
    broken = _Anything(**stored.model_dump() | {"time": "never"})
    broken.version = stored.version
    await kit_env.documents.save(replace(AUDIT, model=_Anything), broken)
    assert (await trail.verify(kit_env, Head(), 1000)).broken == expected


@pytest.mark.parametrize("how", ["changed", "taken out", "put in", "exchanged"])
async def test_what_somebody_does_to_older_entries_is_found(
    kit_env: Kit, monkeypatch: pytest.MonkeyPatch, how: str
):
    monkeypatch.setattr(trail, "_PAGE", 2)
    entries = [old(f"old{number}") for number in range(5)]
    await kit_env.documents.insert_many(AUDIT, entries)
    await enter(kit_env, 1)
    held = await trail.verify(kit_env, Head(), 1000)
    assert (held.head.seq, held.broken, held.older) == (2, None, 5)
    stored = await kit_env.documents.get(AUDIT, "old3")
    assert stored is not None
    if how == "changed":
        stored.account = "Somebody else"
        await kit_env.documents.save(AUDIT, stored)
    if how in {"taken out", "exchanged"}:
        await kit_env.documents.delete(AUDIT, stored)
    if how in {"put in", "exchanged"}:
        await kit_env.documents.save(AUDIT, old("old7"))
    assert (await trail.verify(kit_env, Head(), 1000)).broken == Broken(0, "older")


@pytest.mark.parametrize("before", [0, 3])
async def test_it_holds_while_others_append(kit_env: Kit, monkeypatch: pytest.MonkeyPatch, before: int):
    monkeypatch.setattr(trail, "_turns", _Alone())
    await kit_env.documents.insert_many(AUDIT, [old(f"old{number}") for number in range(before)])
    await enter(kit_env, 0)
    busy = asyncio.gather(*(enter(kit_env, number) for number in range(1, 30)))
    while not busy.done():
        assert (await trail.verify(kit_env, Head(), 1000)).broken is None
    await busy
    found = await trail.verify(kit_env, Head(), 1000)
    assert (found.head.seq, found.broken, found.older) == (30 + bool(before), None, before)


async def test_the_same_entered_at_once_by_many_processes_is_there_once(
    kit_env: Kit, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(trail, "_turns", _Alone())
    await asyncio.gather(*(trail.append(kit_env, old("", ref=f"r{number % 4}")) for number in range(40)))
    page = await kit_env.documents.find(AUDIT, order="seq", limit=100)
    assert sorted(entry.ref for entry in page.items) == ["r0", "r1", "r2", "r3"]


async def test_who_was_overtaken_rests_before_the_next_try(kit_env: Kit, monkeypatch: pytest.MonkeyPatch):
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    async def overtaken(_: Kit) -> Head:
        return Head() if len(rests) < 30 else await end(kit_env)

    end = trail.end
    await enter(kit_env, 0)
    with monkeypatch.context() as patched:
        patched.setattr(trail.asyncio, "sleep", rest)
        patched.setattr(trail, "end", overtaken)
        await enter(kit_env, 1)
    assert len(rests) == 30
    assert max(rests) <= 0.1
    assert len(set(rests)) > 1, "those who race are to part"
    assert (await trail.verify(kit_env, Head(), 1000)).head.seq == 2


async def test_the_log_bears_witness_to_the_end_when_it_moved(kit_env: Kit, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    witness = Witness(kit_env)
    await witness.note()
    assert "the end of the audit trail" not in caplog.text
    await enter(kit_env, 0)
    await enter(kit_env, 1)
    for _ in range(2):
        await witness.note()
    head = await trail.end(kit_env)
    said = [line for line in caplog.messages if "the end of the audit trail" in line]
    assert said == [f"the end of the audit trail is 2:{head.hash}"]


async def test_a_process_notes_the_end_when_it_starts_and_stops(
    kit_env: Kit, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    witness = Witness(kit_env)
    await enter(kit_env, 0)
    await witness.start()
    async with asyncio.timeout(20):
        while "is 1:" not in caplog.text:
            await asyncio.sleep(0.01)
    await enter(kit_env, 1)
    await witness.stop()
    assert "is 2:" in caplog.text


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
    await kit_env.documents.insert_many(AUDIT, [old("old")])
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


async def test_the_page_checks_a_long_trail_in_parts(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trail_page, "_PART", 4)
    chief = await house.administrator()
    for number in range(9):
        await enter(house.kit, number)
    await chief.get("/admin/audit")
    await chief.post("/admin/audit/check")
    parts = 1
    while "hold so far" in chief.text:
        assert 'hx-trigger="load"' in chief.text
        await chief.post("/admin/audit/check", after=chief.value("after"), hash=chief.value("hash"))
        parts += 1
    assert "The trail holds: 10 entries" in chief.text
    assert parts == 3
