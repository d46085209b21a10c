"""The portal's HTTP API over ASGI on real embedded adapters."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from kit.destinations import Destination
from kit.identity import ACCOUNTS, GROUPS, TOKENS, Account, Group, Role, Token, token_id
from kit.service import Kit
from kit.web import build_app
from schemas.forward import ForwardFailed
from schemas.match import StudyMatched
from schemas.portal import StudyDecided
from schemas.validate import StudyArrived, StudyUpdated
from services.portal.app import build
from services.portal.bootstrap import ensure_admin, seed
from services.portal.settings import PortalSettings
from tests.conftest import settle
from tests.unit.portal.samples import NOW, match, study

Client = httpx.AsyncClient


@pytest.fixture
async def client(kit_env: Kit) -> AsyncIterator[Client]:
    """As administrator; other accounts by the header of `login`."""
    service = build(kit_env, PortalSettings())
    secret = await ensure_admin(kit_env)
    await kit_env.bus.start()
    transport = httpx.ASGITransport(app=build_app(kit_env, [service]))
    headers = {"authorization": f"Bearer {secret}"}
    async with Client(transport=transport, base_url="http://here", headers=headers) as made:
        yield made


async def login(kit: Kit, name: str, *roles: Role) -> dict[str, str]:
    await kit.documents.save(ACCOUNTS, Account(id=name, name=name, roles=list(roles)))
    await kit.documents.save(TOKENS, Token(id=token_id(name), account_id=name, created_at=NOW))
    return {"authorization": f"Bearer {name}"}


async def arrive(kit: Kit, *studies) -> None:
    for item in studies:
        arrived = StudyArrived.first(time=NOW, key=item.id, correlation_id="sub1", study=item)
        matched = StudyMatched.first(
            time=NOW, key=item.id, correlation_id="sub1", match=match(study_id=item.id, study_revision=1)
        )
        await kit.bus.publish([arrived, matched])
    await settle(kit)


async def add_pacs(client: Client, name: str = "pacs") -> None:
    made = await client.post(
        "/api/destinations", json={"name": name, "host": "10.0.0.1", "port": 104, "called_ae": "PACS"}
    )
    assert made.status_code == 201, made.text


APPROVE = {"action": "approve", "study_revision": 1, "match_revision": 1, "target": "match"}


async def test_from_inbox_to_decision(client: Client, kit_env: Kit):
    await add_pacs(client)
    await arrive(kit_env, study())
    found = await client.post("/api/studies/search", json={"state": "review", "q": "MÜLL jor"})
    listed = found.json()
    assert [row["id"] for row in listed["studies"]] == ["s1"]
    shown = (await client.get("/api/studies/s1")).json()
    assert (shown["state"], shown["study_revision"], shown["match_revision"]) == ("review", 1, 1)
    answer = await client.post("/api/studies/s1/decision", json=APPROVE)
    assert (answer.status_code, answer.json()["state"], answer.json()["repeated"]) == (200, "approved", False)
    again = await client.post("/api/studies/s1/decision", json=APPROVE)
    assert again.json()["repeated"] is True
    await settle(kit_env)
    events = [e for _, e in await kit_env.bus.read(topics=["study-decided"])]
    assert len(events) == 1
    assert isinstance(events[0], StudyDecided)
    assert events[0].correlation_id == "sub1"
    shown = (await client.get("/api/studies/s1")).json()
    assert [d["state"] for d in shown["deliveries"]] == ["under way"]
    trail = (await client.get("/api/audit", params={"about": "s1"})).json()["entries"]
    assert [entry["action"] for entry in trail] == ["approve", "saw"]


async def test_a_stale_decision_is_409_and_tells_what_is_current(client: Client, kit_env: Kit):
    await add_pacs(client)
    await arrive(kit_env, study())
    update = StudyUpdated.first(time=NOW, key="s1", correlation_id="sub1", study=study(2, 12))
    await kit_env.bus.publish([update])
    await settle(kit_env)
    answer = await client.post("/api/studies/s1/decision", json=APPROVE)
    assert answer.status_code == 409
    body = answer.json()
    assert (body["code"], body["study_revision"], body["match_revision"]) == ("stale", 2, 1)


async def test_bad_decisions_get_a_sentence(client: Client, kit_env: Kit):
    await arrive(kit_env, study())
    for body, status in [
        (APPROVE, 400),
        ({**APPROVE, "destinations": ["x"]}, 400),
        ({**APPROVE, "action": "destroy"}, 422),
        ({**APPROVE, "target": {"patient_key": 3}}, 422),
        ({"action": "approve"}, 422),
    ]:
        answer = await client.post("/api/studies/s1/decision", json=body)
        assert answer.status_code == status, body
        assert answer.json()["error"].endswith(".")
    assert (await client.post("/api/studies/nope/decision", json=APPROVE)).status_code == 404
    assert (await client.get("/api/studies/" + "x" * 500)).status_code == 404


async def test_a_sender_sees_its_own_and_nothing_of_the_hospital(client: Client, kit_env: Kit):
    await add_pacs(client)
    await arrive(kit_env, study())
    await client.post("/api/studies/s1/decision", json=APPROVE)
    own = await login(kit_env, "clinic", Role.SEND)
    other = await login(kit_env, "stranger", Role.SEND)
    shown = await client.get("/api/studies/s1", headers=own)
    assert shown.status_code == 200
    for secret in ("4711", "Mueller", "A1", "admin", "10.0.0.1", "Other^One"):
        assert secret not in shown.text
    assert len((await client.get("/api/studies", headers=own)).json()["studies"]) == 1
    assert (await client.get("/api/studies", headers=other)).json()["studies"] == []
    hidden = await client.get("/api/studies/s1", headers=other)
    missing = await client.get("/api/studies/s2", headers=other)
    assert (hidden.status_code, hidden.text) == (404, missing.text)
    refused = await client.post("/api/studies/s1/decision", json=APPROVE, headers=own)
    assert refused.status_code == 403
    assert (await client.get("/api/accounts", headers=own)).status_code == 403


async def test_studies_are_paged_newest_first(client: Client, kit_env: Kit):
    await arrive(kit_env, *(study(id=f"s{n}", arrived_at=NOW.replace(minute=n)) for n in range(7)))
    seen, cursor = [], None
    while True:
        params = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/api/studies", params=params)).json()
        seen += [row["id"] for row in page["studies"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert seen == [f"s{n}" for n in reversed(range(7))]
    for bad in ("x", "W10=", "bnVsbA=="):
        assert (await client.get("/api/studies", params={"cursor": bad})).status_code == 400


async def test_accounts_and_tokens(client: Client, kit_env: Kit):
    made = await client.post(
        "/api/accounts", json={"name": "Clinic", "roles": ["send"], "addresses": ["10.0.0.0/8"]}
    )
    assert made.status_code == 201
    assert (await client.post("/api/accounts", json={"name": " clinic "})).status_code == 400
    for bad in (
        {"name": ""},
        {"name": "b", "addresses": ["10.0.0.0/99"]},
        {"name": "b", "ae_titles": ["x" * 17]},
        {"name": "b", "email": "no"},
        {"name": "b", "phone": "0123"},
        {"name": "b", "destinations": ["gone"]},
    ):
        assert (await client.post("/api/accounts", json=bad)).status_code == 400, bad
    issued = (await client.post("/api/tokens", json={"account": "Clinic", "label": "box"})).json()
    theirs = {"authorization": f"Bearer {issued['secret']}"}
    assert (await client.get("/api/whoami", headers=theirs)).json()["name"] == "Clinic"
    assert issued["secret"] not in (await client.get("/api/tokens")).text
    changed = await client.patch("/api/accounts/Clinic", json={"policy": "forward-certain"})
    assert (changed.json()["policy"], changed.json()["roles"]) == ("forward-certain", ["send"])
    assert (await client.delete(f"/api/tokens/{issued['id'][:20]}")).status_code == 204
    assert (await client.get("/api/whoami", headers=theirs)).status_code == 401


async def test_no_two_accounts_have_one_name(client: Client):
    await client.post("/api/accounts", json={"name": "Clinic"})
    await client.patch("/api/accounts/Clinic", json={"name": "Praxis"})
    answer = await client.post("/api/accounts", json={"name": "Praxis"})
    assert (answer.status_code, answer.json()["code"]) == (400, "name-taken")


async def test_why_a_delivery_failed_is_not_for_senders(client: Client, kit_env: Kit):
    await add_pacs(client)
    await arrive(kit_env, study())
    decision = (await client.post("/api/studies/s1/decision", json=APPROVE)).json()["decision"]
    failed = ForwardFailed.first(
        time=NOW,
        key="s1",
        correlation_id="sub1",
        study_id="s1",
        study_revision=1,
        decision_id=decision["id"],
        delivery_id="d1",
        destination="pacs",
        sender=study().sender,
        submissions=("sub1",),
        sent=0,
        instances=10,
        reason="pacs at 10.0.0.1:104 can't be reached.",
    )
    await settle(kit_env)
    await kit_env.bus.publish([failed])
    await settle(kit_env)
    own = await login(kit_env, "clinic", Role.SEND)
    (row,) = (await client.get("/api/studies")).json()["studies"]
    assert (row["state"], row["why"]) == ("failed", "pacs at 10.0.0.1:104 can't be reached.")
    (row,) = (await client.get("/api/studies", headers=own)).json()["studies"]
    assert (row["state"], row["why"]) == ("failed", "")


async def test_the_last_administrator_stays(client: Client):
    for change in ({"disabled": True}, {"roles": ["view"]}):
        answer = await client.patch("/api/accounts/admin", json=change)
        assert (answer.status_code, answer.json()["code"]) == (400, "last-admin")
    await client.post("/api/accounts", json={"name": "second", "roles": ["admin"]})
    assert (await client.patch("/api/accounts/admin", json={"roles": ["view", "admin"]})).status_code == 200


async def test_destinations(client: Client, kit_env: Kit):
    await add_pacs(client)
    assert (
        await client.post(
            "/api/destinations", json={"name": "pacs", "host": "x", "port": 1, "called_ae": "A"}
        )
    ).status_code == 400
    for bad in (
        {"name": "../x", "host": "h", "port": 1, "called_ae": "A"},
        {"name": "a", "host": "h", "port": 0, "called_ae": "A"},
        {"name": "a", "host": "h", "port": 1, "called_ae": "A\\B"},
        {"name": "a", "host": "a b", "port": 1, "called_ae": "A"},
        {"name": "a", "host": "h" * 64 + ".x", "port": 1, "called_ae": "A"},
        {"name": "a", "host": "x\u0000", "port": 1, "called_ae": "A"},
        {"name": "a", "kind": "stow", "url": "ftp://x"},
        {"name": "a", "kind": "stow", "url": "http://[x"},
        {"name": "a", "kind": "stow", "url": "http://x:y/z"},
        {"name": "a", "kind": "stow", "url": "https://me:secret@pacs/dicom-web"},
    ):
        assert (await client.post("/api/destinations", json=bad)).status_code == 400, bad
    assert (await client.patch("/api/destinations/pacs", json={"port": 105})).json()["host"] == "10.0.0.1"
    await client.post("/api/accounts", json={"name": "c", "destinations": ["pacs"]})
    assert (await client.delete("/api/destinations/pacs")).json()["code"] == "in-use"
    await client.patch("/api/accounts/c", json={"destinations": []})
    await kit_env.documents.save(GROUPS, Group(id="g", name="g", destinations=["pacs"]))
    assert (await client.delete("/api/destinations/pacs")).json()["code"] == "in-use"
    await kit_env.documents.save(GROUPS, Group(id="g", name="g", version=1))
    assert (await client.delete("/api/destinations/pacs")).status_code == 204
    approver = await login(kit_env, "ada", Role.APPROVE)
    await add_pacs(client, "two")
    assert (await client.get("/api/destinations", headers=approver)).json() == [
        {"name": "two", "kind": "dicom"}
    ]


async def test_first_start_and_declarations_are_idempotent(kit_env: Kit):
    secret = await ensure_admin(kit_env)
    assert secret is not None
    assert await ensure_admin(kit_env, secret) is None
    replaced = await ensure_admin(kit_env, "lost")
    assert replaced not in {None, secret}
    declared = [Account(id="clinic", name="Clinic", roles=[Role.SEND], destinations=["pacs"])]
    pacs = [Destination(id="pacs", host="h", port=104, called_ae="P")]
    for _ in range(3):
        await seed(kit_env, declared, pacs)
    page = await kit_env.documents.find(ACCOUNTS, {"name": "Clinic"})
    assert [item.version for item in page.items] == [1]
    declared[0].disabled = True
    await seed(kit_env, declared, pacs)
    stored = await kit_env.documents.get(ACCOUNTS, "clinic")
    assert (stored.disabled, stored.version) == (True, 2)


async def test_many_deciding_at_once_make_one_decision(client: Client, kit_env: Kit):
    await add_pacs(client)
    await arrive(kit_env, study())
    who = [await login(kit_env, f"doc{n}", Role.APPROVE) for n in range(8)]
    answers = await asyncio.gather(
        *(client.post("/api/studies/s1/decision", json=APPROVE, headers=headers) for headers in who)
    )
    assert [answer.status_code for answer in answers] == [200] * 8
    assert sum(not answer.json()["repeated"] for answer in answers) == 1
    assert len({answer.json()["decision"]["id"] for answer in answers}) == 1
    assert len([e async for e in decided(kit_env)]) == 1


async def test_approving_and_declining_at_once_has_one_winner_or_an_order(client: Client, kit_env: Kit):
    await add_pacs(client)
    await arrive(kit_env, study())
    decline = {"action": "decline", "study_revision": 1, "match_revision": 1, "reason": "no"}
    answers = await asyncio.gather(
        *(client.post("/api/studies/s1/decision", json=body) for body in (decline, APPROVE))
    )
    state = (await client.get("/api/studies/s1")).json()["state"]
    codes = [answer.status_code for answer in answers]
    assert state == "approved"
    assert codes in ([200, 200], [400, 200]), "declined before it was approved, or refused after"
    assert len([e async for e in decided(kit_env)]) == codes.count(200)


async def decided(kit: Kit):
    await settle(kit)
    for _, event in await kit.bus.read(topics=["study-decided"], limit=1000):
        yield event


async def test_hospital_data_that_point_elsewhere_later_are_shown(client: Client, kit_env: Kit):
    await add_pacs(client)
    await arrive(kit_env, study())
    await client.post("/api/studies/s1/decision", json=APPROVE)
    other = match(2, 1)
    other = other.model_copy(update={"chosen": other.candidates[1]})
    await kit_env.bus.publish(
        [StudyMatched.first(time=NOW, key="s1", correlation_id="x", step="2", match=other)]
    )
    await settle(kit_env)
    shown = (await client.get("/api/studies/s1")).json()
    assert (shown["state"], "another patient" in shown["hint"]) == ("approved", True)


async def test_strange_requests_are_answered_with_sentences(client: Client):
    for method, path, content in [
        ("GET", "/api/studies?limit=0", None),
        ("GET", "/api/studies?state=nope", None),
        ("GET", "/api/studies?q=muster", None),
        ("POST", "/api/studies/search", b'{"q": "' + b"x" * 300 + b'"}'),
        ("POST", "/api/studies/search", b'{"q": "\\u0000", "limit": 0}'),
        ("POST", "/api/accounts", b"{"),
        ("POST", "/api/accounts", b'{"name": "\\u0000"}'),
        ("POST", "/api/accounts", b'{"name": "a", "id": "b"}'),
        ("POST", "/api/tokens", b'{"account": "nobody"}'),
        ("PATCH", "/api/accounts/nobody", b"{}"),
        ("DELETE", "/api/tokens/" + "0" * 64, None),
        ("DELETE", "/api/destinations/x", None),
        ("GET", "/api/audit?cursor=x", None),
    ]:
        headers = {"content-type": "application/json"}
        answer = await client.request(method, path, content=content, headers=headers)
        assert answer.status_code in {200, 400, 404, 422}, (method, path, answer.text)
        if answer.status_code != 200:
            assert answer.json()["error"].endswith("."), answer.text


async def test_groups_are_kept_over_http(client: Client, kit_env: Kit):
    made = await client.post(
        "/api/groups", json={"name": "Clerks", "roles": ["approve"], "departments": ["File room"]}
    )
    assert made.status_code == 201, made.text
    group = made.json()
    assert (group["policy"], group["members"]) == ("review", [])
    taken = await client.post("/api/groups", json={"name": "clerks"})
    assert (taken.status_code, taken.json()["code"]) == (400, "name-taken")
    assert (await client.post("/api/groups", json={"name": "  "})).json()["code"] == "bad-group"
    unknown = await client.post("/api/groups", json={"name": "x", "destinations": ["nowhere"]})
    assert unknown.status_code == 400
    await client.post("/api/accounts", json={"name": "Ada", "groups": [group["id"]]})
    [listed] = (await client.get("/api/groups")).json()
    accounts = {row["id"]: row["name"] for row in (await client.get("/api/accounts")).json()}
    assert [accounts[member] for member in listed["members"]] == ["Ada"]
    changed = await client.patch("/api/groups/Clerks", json={"policy": "forward-certain"})
    assert changed.json()["roles"] == ["approve"], "what is left out stays"
    assert changed.json()["policy"] == "forward-certain"
    in_use = await client.delete(f"/api/groups/{group['id']}")
    assert (in_use.status_code, in_use.json()["code"]) == (400, "in-use")
    await client.patch("/api/accounts/Ada", json={"groups": []})
    assert (await client.delete("/api/groups/Clerks")).status_code == 204
    assert (await client.patch("/api/groups/Clerks", json={})).status_code == 404
    trail = (await client.get("/api/audit", params={"about": group["id"]})).json()["entries"]
    assert [entry["action"] for entry in trail] == ["removed", "changed", "made"]
