"""The HTTP API of match."""

from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client import REGISTRY

from kit.identity import ACCOUNTS, TOKENS, Account, Role, Token, token_id
from kit.web import build_app
from tests.component.match.conftest import Running
from tests.component.match.samples import adt, merge, order


@pytest.fixture
async def http(running: Running) -> AsyncIterator[httpx.AsyncClient]:
    kit = running.kit
    for name, role in (("clerk", Role.APPROVE), ("clinic", Role.SEND), ("admin", Role.ADMIN)):
        await kit.documents.save(ACCOUNTS, Account(id=name, name=name, roles=[role]))
        await kit.documents.save(TOKENS, Token(id=token_id(name), account_id=name, created_at=kit.clock()))
    transport = httpx.ASGITransport(app=build_app(kit, [running.service]))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


def _as(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}"}


async def test_match_of_a_study(running: Running, http: httpx.AsyncClient) -> None:
    await running.send(adt())
    await running.study(patient_id="4711", issuer="HOSPITAL")
    answer = await http.get("/api/matches/s1", headers=_as("clerk"))
    assert answer.status_code == 200
    assert answer.json()["rule"] == "issuer+id"
    assert answer.json()["chosen"]["patient"]["patient_id"] == "4711"
    missing = await http.get("/api/matches/nothing", headers=_as("clerk"))
    assert (missing.status_code, missing.json()["code"]) == (404, "no-match")


@pytest.mark.parametrize("path", ["/api/matches/s1", "/api/feed"])
async def test_local_patients_are_not_for_senders(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 401
    assert (await http.get(path, headers=_as("clinic"))).status_code == 403


async def test_senders_find_no_patients_and_no_address_names_one(http: httpx.AsyncClient) -> None:
    search = {"q": "muster"}
    assert (await http.post("/api/patients/search", json=search)).status_code == 401
    assert (await http.post("/api/patients/search", json=search, headers=_as("clinic"))).status_code == 403
    assert (await http.get("/api/patients", params=search, headers=_as("clerk"))).status_code == 404


@pytest.mark.parametrize("text", ["mull", "MÜLLER", "mueller jö", "Jörg, Mül", "müller^jörg", "47", "4711"])
async def test_patients_are_found_by_beginnings(running: Running, http: httpx.AsyncClient, text: str) -> None:
    await running.send(
        adt(name="Müller^Jörg"), order(name="Müller^Jörg"), adt(patient_id="9", name="Else^One")
    )
    answer = await http.post("/api/patients/search", json={"q": text}, headers=_as("clerk"))
    found = answer.json()["patients"]
    assert [one["patient"]["patient_id"] for one in found] == ["4711"]
    assert found[0]["orders"][0]["order"]["accession_number"] == "ACC1"


@pytest.mark.parametrize("text", ["nobody", "ller", "müller anna", "x' OR 1=1", "*", "%%", "...."])
async def test_nobody_is_found(running: Running, http: httpx.AsyncClient, text: str) -> None:
    await running.send(adt(name="Müller^Jörg"))
    answer = await http.post("/api/patients/search", json={"q": text}, headers=_as("clerk"))
    assert answer.status_code in (200, 422, 400)
    assert answer.json().get("patients", []) == []


async def test_retired_ids_find_the_survivor_once(running: Running, http: httpx.AsyncClient) -> None:
    await running.send(adt(patient_id="OLD1"), merge("NEW1", "OLD1"))
    for text in ("OLD1", "muster"):
        answer = await http.post("/api/patients/search", json={"q": text}, headers=_as("clerk"))
        assert [one["patient"]["patient_id"] for one in answer.json()["patients"]] == ["NEW1"]


async def test_feed_tells_counts_and_nobody(running: Running, http: httpx.AsyncClient) -> None:
    before = _answered()
    await running.send(adt(), adt("A99"), "PID|nothing")
    assert [now - then for now, then in zip(_answered(), before, strict=True)] == [2, 0, 1]
    answer = await http.get("/api/feed", headers=_as("admin"))
    view = answer.json()
    assert view["listening"]
    assert (view["accepted"], view["rejected"], view["patients"]) == (2, 1, 1)
    assert view["by_type"]["ADT^A08"] == 1
    assert "Muster" not in answer.text


def _answered() -> list[float]:
    name = "anteroom_hl7_messages_total"
    return [REGISTRY.get_sample_value(name, {"answer": code}) or 0 for code in ("AA", "AE", "AR")]


async def test_readiness_names_the_door(running: Running) -> None:
    check = running.service.checks["hl7-door"]
    assert await check() is None
    for stop in running.service.stop:
        await stop()
    assert "hl7_port" in str(await check())
