"""What protects the pages: forged requests, foreign hosts, headers, other people's objects."""

from typing import Any

import pytest

from kit.guard import POLICY
from kit.identity import ACCOUNTS, GROUPS, Group, Role
from kit.sessions import COOKIE
from services.portal.models import AUDIT, AuditEntry
from tests.component.portal.conftest import House

ANNA = "anna@hospital.example"
OURS = {"origin": "http://here", "sec-fetch-site": "same-origin"}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "http://here", "sec-fetch-site": "same-site"},
        {"origin": "null"},
        {"origin": "http://here.evil.example"},
        {"sec-fetch-site": "none"},
        {},
    ],
)
async def test_a_form_from_elsewhere_changes_nothing(house: House, headers: dict[str, str]):
    await house.person(ANNA, Role.SEND)
    browser = house.browser()
    await browser.sign_in(ANNA)
    token = browser.value("csrf")
    for path in ("/account/profile", "/logout", "/language"):
        answer = await browser.http.post(path, data={"csrf": token, "name": "Evil"}, headers=headers)
        assert answer.status_code == 403, path
    assert (await browser.get("/account")).url.path == "/account"
    assert "Evil" not in browser.text


@pytest.mark.parametrize("token", ["", "0" * 64, "é" * 64, None])
async def test_a_form_without_its_token_changes_nothing(house: House, token: str | None):
    await house.person(ANNA, Role.SEND)
    browser = house.browser()
    await browser.sign_in(ANNA)
    data = {"name": "Evil"} if token is None else {"csrf": token, "name": "Evil"}
    answer = await browser.http.post("/account/profile", data=data, headers=OURS)
    assert answer.status_code == 403
    assert "open for too long" in answer.text


async def test_more_than_a_form_may_hold_is_refused_in_a_sentence(house: House):
    await house.person(ANNA, Role.SEND)
    browser = house.browser()
    await browser.sign_in(ANNA)
    await browser.post("/account/profile", name="x" * 2_000_000)
    assert browser.status == 413
    assert "more than can be taken in here at once" in browser.text
    nobody = house.browser()
    for path in ("/login", "/api/studies/search"):
        answer = await nobody.http.post(path, json={"q": "x" * 9_000_000})
        assert answer.status_code == 413, path


async def test_a_token_is_worth_nothing_in_another_session(house: House):
    await house.person(ANNA, Role.SEND)
    await house.person("bo@clinic.example", Role.SEND)
    anna, bo = house.browser(), house.browser()
    await anna.sign_in(ANNA)
    await bo.sign_in("bo@clinic.example")
    data = {"csrf": anna.value("csrf"), "name": "Evil"}
    bo.http.cookies.delete("anteroom_form")
    assert (await bo.http.post("/account/profile", data=data, headers=OURS)).status_code == 403


async def test_the_api_by_cookie_asks_for_our_own_origin(house: House):
    root = await house.administrator()
    fields = {"name": "made"}
    for headers in ({}, {"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert (await root.http.post("/api/accounts", json=fields, headers=headers)).status_code == 403
    assert (await root.http.post("/api/accounts", json=fields, headers=OURS)).status_code == 201


async def test_a_wrong_bearer_token_is_not_saved_by_a_cookie(house: House):
    root = await house.administrator()
    answer = await root.http.get("/api/accounts", headers={"authorization": "Bearer nonsense"})
    assert answer.status_code == 401


async def test_headers_on_every_answer(house: House):
    browser = house.browser()
    for path in ("/login", "/nothing", "/api/studies", "/static/x/anteroom.css", "/healthz", "/reset"):
        answer = await browser.http.get(path)
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "unsafe" not in answer.headers["content-security-policy"]
    assert (await browser.http.get("/login")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "here.evil.example",
        "here@evil.example",
        "",
        "[",
        "10.0.0.1",
        "here, evil",
        "2130706433",
    ],
)
async def test_a_host_that_is_not_ours_is_refused(house: House, host: str):
    answer = await house.browser().http.get("/login", headers={"host": host})
    assert answer.status_code == 421
    assert "evil" not in answer.text


@pytest.mark.parametrize(
    "host", ["here", "HERE:8443", "localhost:1", "127.0.0.1:8080", "127.0.0.2", "[::1]:9", "here."]
)
async def test_own_names_and_loopback_are_fine(house: House, host: str):
    assert (await house.browser().http.get("/login", headers={"host": host})).status_code == 200


async def test_probes_may_come_by_any_name(house: House):
    answer = await house.browser().http.get("/healthz", headers={"host": "10.1.2.3:8080"})
    assert answer.status_code == 200


async def test_messages_in_cookies_are_ours_alone(house: House):
    browser = house.browser()
    browser.http.cookies.set("anteroom_flash", "WyJvayIsImV2aWwiXQ==.0000", domain="here", path="/")
    assert (await browser.get("/login")).status_code == 200
    assert "evil" not in browser.text


async def test_a_spreadsheet_takes_no_name_for_a_formula(house: House):
    root = await house.administrator()
    entry = AuditEntry(
        id="e1",
        time=house.clock(),
        account_id="a",
        account="=HYPERLINK(1)",
        action="saw",
        kind="study",
        object_id="s",
    )
    await house.kit.documents.insert_many(AUDIT, [entry])
    answer = await root.http.get("/admin/audit.csv?action=saw")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.splitlines()[1].split(",")[2] == "'=HYPERLINK(1)"
    assert "exported" in await house.actions()


async def test_the_last_administrator_stays_whichever_way(house: House):
    root = await house.administrator()
    group = Group(id="g1", name="chiefs", roles=[Role.ADMIN])
    await house.kit.documents.save(GROUPS, group)
    page = await house.kit.documents.find(ACCOUNTS, limit=10)
    own = page.items[0]
    await root.get(f"/admin/accounts/{own.id}")
    fields = {"version": str(own.version), "name": own.name, "email": own.email, "policy": "review"}
    await root.post(f"/admin/accounts/{own.id}", **fields, roles="send")
    assert "This is the last administrator" in root.text
    await root.post(f"/admin/accounts/{own.id}", **fields, groups="g1")
    assert root.status == 200
    assert (await root.get("/admin")).status_code == 200
    await root.get("/admin/groups/g1")
    await root.post("/admin/groups/g1", name="chiefs", roles="send")
    assert "This is the last administrator" in root.text


async def test_two_administrators_do_not_overwrite_each_other(house: House):
    root = await house.administrator()
    anna = await house.person(ANNA, Role.SEND)
    await root.get(f"/admin/accounts/{anna.id}")
    fields: dict[str, Any] = {
        "version": root.value("version"),
        "name": "Anna",
        "email": ANNA,
        "policy": "review",
    }
    await root.post(f"/admin/accounts/{anna.id}", **fields, roles="view")
    await root.get(f"/admin/accounts/{anna.id}")
    await root.post(f"/admin/accounts/{anna.id}", **fields, roles="admin")
    assert "Somebody else changed this" in root.text
    stored = await house.kit.documents.get(ACCOUNTS, anna.id)
    assert stored is not None
    assert stored.roles == [Role.VIEW]


async def test_changed_rights_begin_with_a_new_session(house: House):
    root = await house.administrator()
    anna = await house.person(ANNA, Role.SEND)
    browser = house.browser()
    await browser.sign_in(ANNA)
    before = dict(browser.http.cookies)[COOKIE]
    await root.get(f"/admin/accounts/{anna.id}")
    version = root.value("version")
    await root.post(
        f"/admin/accounts/{anna.id}",
        version=version,
        name="Anna",
        email=ANNA,
        policy="review",
        roles="approve",
    )
    assert (await browser.get("/account")).url.path == "/login"
    await browser.sign_in(ANNA)
    assert dict(browser.http.cookies)[COOKIE] != before


async def test_an_address_moves_with_its_password_and_can_not_be_taken(house: House):
    root = await house.administrator()
    anna = await house.person(ANNA, Role.SEND)
    await house.person("bo@clinic.example", Role.SEND)
    await root.get(f"/admin/accounts/{anna.id}")
    fields = {"version": root.value("version"), "name": "Anna", "policy": "review", "roles": "send"}
    await root.post(f"/admin/accounts/{anna.id}", **fields, email="bo@clinic.example")
    assert "Somebody else signs in under this address" in root.text
    await root.post(f"/admin/accounts/{anna.id}", **fields, email="anna@new.example")
    assert root.status == 200
    browser = house.browser()
    await browser.sign_in("anna@new.example")
    assert browser.path == "/account"
    old = house.browser()
    await old.sign_in(ANNA)
    assert old.path == "/login"


async def test_pages_speak_the_language_that_was_chosen(house: House):
    await house.person(ANNA, Role.SEND, language="de")
    browser = house.browser(**{"accept-language": "en-GB"})
    assert 'lang="en"' in (await browser.get("/login")).text
    await browser.sign_in(ANNA)
    assert 'lang="de"' in browser.text
    await browser.post("/language", language="en", next="//evil.example")
    assert browser.path == "/"
    assert 'lang="en"' in (await browser.get("/account")).text
    assert 'lang="de"' in (await house.browser(**{"accept-language": "de-AT"}).get("/nothing")).text


async def test_files_are_kept_for_ever_under_their_hash_alone(house: House):
    browser = house.browser()
    page = (await browser.get("/login")).text
    path = page.split('rel="stylesheet" href="')[1].split('"')[0]
    kept = await browser.http.get(path)
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert kept.headers["content-encoding"] == "gzip"
    again = await browser.http.get(path, headers={"if-none-match": kept.headers["etag"]})
    assert again.status_code == 304
    other = await browser.http.get("/static/other/anteroom.css")
    assert other.headers["cache-control"] == "public, no-cache"
    for bad in ("/static/x/%2e%2e/app.py", "/static/x/../../app.py", "/static/x/", "/static/x/none.css"):
        assert (await browser.http.get(bad)).status_code == 404
