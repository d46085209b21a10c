"""Signing in: passwords, lockout, sessions, links, and what nobody may learn or do by them."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kit.identity import ACCOUNTS, Role, token_id
from kit.sessions import COOKIE, SESSIONS
from services.portal.bootstrap import ensure_admin, first_person
from services.portal.people.models import LINKS, LOGINS, login_id, person_id
from tests.component.portal.browser import PASSWORD, code_of
from tests.component.portal.conftest import House

ANNA = "anna@hospital.example"


async def test_the_first_administrator_comes_by_a_link_that_works_once(house: House):
    await ensure_admin(house.kit)
    path = await first_person(house.kit)
    assert path
    browser = house.browser()
    await browser.get(path)
    await browser.post(path, name="Anna", email="not an address", password=PASSWORD)
    assert "The email address is not one." in browser.text
    await browser.post(path, name="Anna", email=ANNA, password="short")
    assert "at least 12 characters" in browser.text
    await browser.post(path, name="Anna", email=ANNA, password=PASSWORD)
    await browser.get("/admin")
    assert browser.status == 200
    assert await first_person(house.kit) is None
    assert (await house.browser().get(path)).status_code == 404


async def test_processes_that_start_together_or_later_give_the_same_link_until_it_is_too_old(house: House):
    paths = set(await asyncio.gather(*(first_person(house.kit) for _ in range(5))))
    assert len(paths) == 1
    start, links = house.kit.clock(), house.kit.documents
    later = replace(house.kit, clock=lambda: start + timedelta(hours=40))
    assert paths == {await first_person(later)}
    too_late = replace(house.kit, clock=lambda: start + timedelta(hours=49))
    (old,), new = paths, await first_person(too_late)
    assert new != old
    assert await links.count(LINKS, {"kind": "welcome"}, cap=10) == 2
    elsewhere = replace(house.kit, site_key=b"another".ljust(32))
    assert await first_person(elsewhere) not in {old, new}


async def test_who_signs_in_goes_on_to_where_they_wanted(house: House):
    await house.person(ANNA, Role.ADMIN)
    browser = house.browser()
    await browser.get("/admin/groups")
    assert browser.path == "/login"
    assert browser.value("next") == "/admin/groups"
    await browser.post("/login", email=ANNA.upper(), password=PASSWORD, next="/admin/groups")
    assert browser.path == "/admin/groups"
    assert "signed-in" in await house.actions()


async def test_a_path_of_any_script_is_followed(house: House):
    await house.person(ANNA, Role.SEND)
    browser = house.browser()
    await browser.get("/login")
    answer = await browser.post("/login", follow=False, email=ANNA, password=PASSWORD, next="/s/日本?a=b")
    assert answer.headers["location"] == "/s/%E6%97%A5%E6%9C%AC?a=b"


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "\\\\evil",
        "/a\nb",
        "evil",
    ],
)
async def test_no_next_leads_elsewhere(house: House, target: str):
    await house.person(ANNA, Role.SEND)
    browser = house.browser()
    await browser.get("/login")
    answer = await browser.post("/login", follow=False, email=ANNA, password=PASSWORD, next=target)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"


async def test_every_wrong_sign_in_looks_the_same(house: House):
    account = await house.person(ANNA, Role.SEND)
    out = await house.person("out@hospital.example", Role.SEND)
    out.disabled = True
    await house.kit.documents.save(ACCOUNTS, out)
    said = []
    for email, password in (
        (ANNA, "wrong"), ("nobody@hospital.example", "wrong"), ("out@hospital.example", PASSWORD),
        (ANNA, ""), ("", ""), (account.name, PASSWORD),
    ):  # fmt: skip
        browser = house.browser()
        await browser.get("/login")
        await browser.post("/login", email=email, password=password, next="/")
        said.append((browser.status, "The address or the password is not right." in browser.text))
        assert COOKIE not in browser.http.cookies
    assert set(said) == {(400, True)}


async def test_tries_lock_longer_and_longer_over_restarts_and_for_strangers_too(house: House):
    await house.person(ANNA, Role.SEND)
    for email in (ANNA, "nobody@hospital.example"):
        browser = house.browser(address=f"10.1.0.{len(email)}")
        await browser.get("/login")
        seen = []
        for _ in range(7):
            await browser.post("/login", email=email, password="wrong", next="/")
            seen.append(browser.status)
        assert seen == [400] * 5 + [429] * 2
        await browser.post("/login", email=email, password=PASSWORD, next="/")
        assert browser.status == 429
        assert "Wait a minute" in browser.text
        house.clock.go(seconds=31)
        await browser.post("/login", email=email, password="wrong", next="/")
        await browser.post("/login", email=email, password="wrong", next="/")
        assert browser.status == 429
        house.clock.go(seconds=31)
        await browser.post("/login", email=email, password=PASSWORD, next="/account")
        assert browser.status == 429
        house.clock.go(seconds=31)
        await browser.post("/login", email=email, password=PASSWORD, next="/account")
        assert browser.path == ("/account" if email == ANNA else "/login")
    actions = await house.actions()
    assert actions.count("locked") == 2


async def test_tries_during_a_lock_do_not_fill_the_audit_trail(house: House):
    await house.person(ANNA, Role.SEND)
    browser = house.browser()
    await browser.get("/login")
    for number in range(40):
        # the account locks first; then, with other accounts, the address does
        email = ANNA if number < 10 else f"nobody{number}@hospital.example"
        await browser.post("/login", email=email, password="wrong", next="/")
    assert browser.status == 429
    actions = await house.actions()
    assert actions.count("locked") == 2, "the account's and the address's, each when it began"
    for _ in range(10):
        await browser.post("/login", email=ANNA, password=PASSWORD, next="/")
    assert await house.actions() == actions


async def test_a_hundred_tries_at_once_are_a_hundred_tries(house: House):
    await house.person(ANNA, Role.SEND)
    browser = house.browser()
    await browser.get("/login")
    answers = await asyncio.gather(
        *(
            browser.post("/login", follow=False, email=ANNA, password=f"wrong {n}", next="/")
            for n in range(20)
        )
    )
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(400) <= 5
    assert statuses.count(429) >= 15


async def test_one_address_can_not_try_everybody(house: House):
    browser = house.browser()
    await browser.get("/login")
    seen = []
    for n in range(33):
        await browser.post("/login", email=f"person{n}@hospital.example", password="wrong", next="/")
        seen.append(browser.status)
    assert seen[:30] == [400] * 30
    assert set(seen[30:]) == {429}


async def test_a_session_is_new_at_every_sign_in_and_its_secret_is_kept_nowhere(house: House):
    await house.person(ANNA, Role.SEND)
    browser = house.browser()
    browser.http.cookies.set(COOKIE, "x" * 43, domain="here", path="/")
    await browser.get("/login")
    await browser.post("/login", email=ANNA, password=PASSWORD, next="/account")
    first = browser.http.cookies.get(COOKIE, domain="here.local") or dict(browser.http.cookies)[COOKIE]
    assert first != "x" * 43
    assert await house.kit.documents.get(SESSIONS, token_id(first)) is not None
    assert await house.kit.documents.get(SESSIONS, first) is None
    await browser.get("/account")
    await browser.post("/logout", follow=False)
    assert await house.kit.documents.get(SESSIONS, token_id(first)) is None


async def test_cookies_are_strict(house: House):
    await house.person(ANNA, Role.SEND)
    browser = house.browser()
    await browser.get("/login")
    answer = await browser.post("/login", follow=False, email=ANNA, password=PASSWORD, next="/")
    cookies = [c for c in answer.headers.get_list("set-cookie") if c.startswith(COOKIE)]
    assert len(cookies) == 1
    for part in ("HttpOnly", "Path=/", "SameSite=lax"):
        assert part in cookies[0]
    assert "Domain" not in cookies[0]


async def test_a_session_ends_when_idle_and_in_any_case(house: House):
    await house.person(ANNA, Role.SEND)
    browser = house.browser()
    await browser.sign_in(ANNA)
    for _ in range(5):
        house.clock.go(minutes=25)
        await browser.get("/account")
        assert browser.path == "/account"
    house.clock.go(minutes=31)
    await browser.get("/account")
    assert browser.path == "/login"
    await browser.sign_in(ANNA)
    for _ in range(30):
        house.clock.go(minutes=25)
        await browser.get("/account")
    assert browser.path == "/login"


async def test_signing_out_everywhere_and_a_new_password_end_other_sessions(house: House):
    await house.person(ANNA, Role.SEND)
    here, there = house.browser(), house.browser(address="10.0.0.8")
    await here.sign_in(ANNA)
    await there.sign_in(ANNA)
    await here.post("/account/password", present="wrong", password="another harbour lantern")
    assert "Your present password is not right." in here.text
    await here.post("/account/password", present=PASSWORD, password="another harbour lantern")
    assert here.path == "/account"
    assert "Your password is changed" in here.text
    assert (await there.get("/account")).url.path == "/login"
    await there.sign_in(ANNA, "another harbour lantern")
    assert there.path == "/account"
    await here.get("/account")
    await here.post("/account/sessions/end-all")
    assert (await there.get("/account")).url.path == "/login"
    assert [mail.kind for mail, _ in await house.mails()] == ["password-changed"]


async def test_a_shut_out_account_is_out_at_once(house: House):
    root = await house.administrator()
    anna = await house.person(ANNA, Role.SEND)
    browser = house.browser()
    await browser.sign_in(ANNA)
    await root.get(f"/admin/accounts/{anna.id}")
    await root.post(f"/admin/accounts/{anna.id}/disable")
    assert (await browser.get("/account")).url.path == "/login"


async def test_an_invitation_leads_in(house: House):
    root = await house.administrator()
    await root.get("/admin/accounts/invite")
    await root.post(
        "/admin/accounts/invite", name="Bo", email="bo@clinic.example", roles="send", language="de"
    )
    shown = re.search(r"/welcome/[\w-]+", root.text)
    assert shown
    ((mail, path),) = await house.mails()
    assert (mail.kind, mail.to.email, mail.language) == ("invite", "bo@clinic.example", "de")
    assert path == shown[0]
    assert path not in mail.model_dump_json()
    bo = house.browser()
    await bo.get(path)
    assert "bo@clinic.example" in bo.text
    await bo.post(path, password="violet harbour lantern")
    assert (await bo.get("/account")).url.path == "/account"
    assert (await house.browser().get(path)).status_code == 404
    assert (await bo.get("/admin")).status_code == 403


async def test_a_new_password_by_mail(house: House):
    await house.person(ANNA, Role.SEND)
    browser, other = house.browser(), house.browser()
    await other.sign_in(ANNA)
    house.clock.go(seconds=1)
    answers = []
    for email in (ANNA, "nobody@hospital.example"):
        await browser.get("/reset")
        await browser.post("/reset", email=email)
        answers.append((browser.status, re.sub(r'value="[^"]*"|content="[^"]*"', "", browser.text)))
    assert answers[0] == answers[1]
    ((mail, path),) = await house.mails()
    assert mail.kind == "reset"
    await browser.get(path)
    await browser.post(path, password="a wholly other phrase")
    assert browser.path == "/login"
    assert (await other.get("/account")).url.path == "/login"
    assert (await browser.get(path)).status_code == 404
    await browser.sign_in(ANNA, "a wholly other phrase")
    assert browser.path == "/account"


async def test_a_link_for_a_new_password_ends_and_mails_are_limited(house: House):
    await house.person(ANNA, Role.SEND)
    browser = house.browser()
    for _ in range(5):
        await browser.get("/reset")
        await browser.post("/reset", email=ANNA)
    assert browser.status == 429
    assert len(await house.mails()) == 3
    _, path = (await house.mails())[0]
    house.clock.go(minutes=61)
    assert (await browser.get(path)).status_code == 404


async def test_a_newer_password_voids_every_older_link(house: House):
    await house.person(ANNA, Role.SEND)
    browser = house.browser()
    for _ in range(2):
        house.clock.go(seconds=1)
        await browser.get("/reset")
        await browser.post("/reset", email=ANNA)
    (_, first), (_, second) = await house.mails()
    house.clock.go(seconds=1)
    await browser.get(second)
    await browser.post(second, password="a wholly other phrase")
    assert (await browser.get(first)).status_code == 404


async def test_asking_for_an_account(house: House):
    root = await house.administrator()
    asker = house.browser(address="10.9.9.9")
    await asker.get("/register")
    fields = {
        "name": "Dr. Ko",
        "organisation": "Ko Practice",
        "email": "ko@practice.example",
        "phone": "+4315550100",
    }
    await asker.post("/register", **fields, message="<script>alert(1)</script>")
    assert "Thank you." in asker.text
    await root.get("/admin/requests")
    assert "<script>alert" not in root.page.text
    assert "Dr. Ko, Ko Practice" in root.text
    asked = re.search(r"asked=([0-9a-f]+)", root.text)
    assert asked
    await root.get(f"/admin/accounts/invite?asked={asked[1]}")
    assert re.findall(r'name="roles" value="([a-z-]+)" checked', root.page.text) == ["send"]
    await root.post(
        "/admin/accounts/invite", asked=asked[1], name="Dr. Ko", email="ko@practice.example", roles="send"
    )
    await root.get("/admin/requests")
    assert "Nobody is waiting" in root.text
    assert [mail.kind for mail, _ in await house.mails()] == ["invite"]


async def test_registration_can_be_closed(make_house: Any):
    browser = make_house(registration=False).browser()
    assert (await browser.get("/register")).status_code == 404
    await browser.get("/login")
    assert "/register" not in browser.text


async def test_the_second_factor(house: House):
    await house.person(ANNA, Role.SEND)
    browser = house.browser()
    await browser.sign_in(ANNA)
    before = dict(browser.http.cookies)[COOKIE]
    await browser.get("/account/protect")
    letters = re.search(r'id="letters">([A-Z2-7 ]+)<', browser.text)
    assert letters
    sealed = browser.value("sealed")
    await browser.post("/account/protect", sealed=sealed, code="000000", present=PASSWORD)
    assert "This code is not right." in browser.text
    right = code_of(letters[1], house.clock)
    await browser.post("/account/protect", sealed=browser.value("sealed"), code=right, present=PASSWORD)
    codes = re.findall(r"<code>(\w{5}-\w{5})</code>", browser.text)
    assert len(codes) == 10
    assert dict(browser.http.cookies)[COOKIE] != before
    login = await house.kit.documents.get(LOGINS, login_id(ANNA))
    assert login is not None
    assert letters[1].replace(" ", "") not in login.model_dump_json()
    assert codes[0] not in login.model_dump_json()

    other = house.browser(address="10.0.0.9")
    await other.sign_in(ANNA)
    assert other.path == "/login/code"
    assert (await other.get("/account")).url.path == "/login"
    await other.get("/login/code")
    await other.post("/login/code", code=right)
    assert "was used already" in other.text
    house.clock.go(seconds=30)
    fresh = code_of(letters[1], house.clock)
    await other.post("/login/code", code=fresh)
    assert (await other.get("/account")).url.path == "/account"

    third = house.browser(address="10.0.0.10")
    await third.sign_in(ANNA)
    await third.post("/login/code", code=f" {codes[3].upper()} ")
    assert (await third.get("/account")).url.path == "/account"
    fourth = house.browser(address="10.0.0.11")
    await fourth.sign_in(ANNA)
    await fourth.post("/login/code", code=codes[3])
    assert fourth.status == 400
    for _ in range(5):
        await fourth.post("/login/code", code="123456")
    assert fourth.status == 429
    await third.post("/account/unprotect", present=PASSWORD)
    assert [mail.kind for mail, _ in await house.mails()] == ["second-factor-off"]


async def test_who_must_have_a_second_factor_sets_it_up_before_anything_else(make_house: Any):
    house: House = make_house(second_factor="staff")
    await house.person(ANNA, Role.APPROVE)
    await house.person("bo@clinic.example", Role.SEND)
    sender = house.browser()
    await sender.sign_in("bo@clinic.example")
    assert sender.path == "/account"
    browser = house.browser()
    await browser.sign_in(ANNA)
    assert browser.path == "/login/protect"
    assert (await browser.get("/account")).url.path == "/login"
    await browser.get("/login/protect")
    letters = re.search(r'id="letters">([A-Z2-7 ]+)<', browser.text)
    assert letters
    code = code_of(letters[1], house.clock)
    await browser.post("/login/protect", sealed=browser.value("sealed"), code=code)
    assert "Keep these codes" in browser.text
    await browser.get("/account")
    assert browser.path == "/account"
    await browser.post("/account/unprotect", present=PASSWORD)
    assert "must have a second factor" in browser.text


async def test_half_way_in_is_not_in_and_does_not_last(house: House):
    browser = house.browser()
    browser.http.cookies.set("anteroom_half", "made-up", domain="here", path="/")
    for path in ("/login/code", "/login/protect", "/login/ready"):
        await browser.get(path)
        assert browser.path == "/login"


async def test_own_tokens(house: House):
    await house.person(ANNA, Role.SEND)
    browser = house.browser()
    await browser.sign_in(ANNA)
    await browser.post("/account/tokens", label="laptop", days="30", present=PASSWORD)
    secret = re.search(r'id="new-token">([\w-]+)<', browser.text)
    assert secret
    headers = {"authorization": f"Bearer {secret[1]}", "accept": "application/json"}
    assert (await house.browser().http.get("/api/whoami", headers=headers)).status_code == 200
    await browser.post("/account/tokens/revoke", token=token_id(secret[1]))
    assert (await house.browser().http.get("/api/whoami", headers=headers)).status_code == 401


async def test_who_may_approve_chooses_whether_to_be_told_of_failures(house: House):
    clerk, doctor = "ada@hospital.example", "dora@hospital.example"
    await house.person(clerk, Role.APPROVE)
    await house.person(doctor, Role.VIEW)
    browser = house.browser()
    await browser.sign_in(clerk)
    assert "Mail me when something fails" in browser.text
    await browser.post("/account/profile", name="Ada", language="en")
    stored = await house.kit.documents.get(ACCOUNTS, person_id(clerk))
    assert stored is not None
    assert not stored.told_of_failures
    await browser.post("/account/profile", name="Ada", language="en", told_of_failures="yes")
    stored = await house.kit.documents.get(ACCOUNTS, person_id(clerk))
    assert stored is not None
    assert stored.told_of_failures
    other = house.browser("10.0.0.9")
    await other.sign_in(doctor)
    assert "Mail me when something fails" not in other.text
