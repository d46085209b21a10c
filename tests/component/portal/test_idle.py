"""A session ends when nobody does anything, however many pages are open and ask by themselves."""

from datetime import timedelta

import pytest

from kit.identity import Role
from tests.component.portal.browser import Browser
from tests.component.portal.conftest import House

ANNA = "anna@clinic.example"
BY_SCRIPT = {"sec-fetch-mode": "cors", "sec-fetch-site": "same-origin", "accept": "*/*"}


async def anna(house: House) -> Browser:
    await house.person(ANNA, Role.VIEW, Role.SEND)
    browser = house.browser()
    await browser.sign_in(ANNA)
    return browser


async def ask(browser: Browser, method: str, path: str, headers: dict[str, str] = BY_SCRIPT) -> int:
    return (await browser.http.request(method, path, headers=headers)).status_code


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/here"),
        ("GET", "/api/whoami"),
        ("GET", "/api/studies"),
        ("POST", "/inbox/now"),
        ("POST", "/api/studies/search"),
    ],
)
async def test_what_an_open_page_asks_by_itself_keeps_nobody_signed_in(
    house: House, method: str, path: str
) -> None:
    browser = await anna(house)
    for _ in range(5):
        house.clock.go(minutes=5)
        assert await ask(browser, method, path) != 401
    house.clock.go(minutes=6)
    assert await ask(browser, method, path) == 401


async def test_a_part_of_a_page_that_htmx_asks_for_is_no_act(house: House) -> None:
    browser = await anna(house)
    old = {"hx-request": "true", "accept": "text/html", "sec-fetch-site": "same-origin"}
    for _ in range(5):
        house.clock.go(minutes=5)
        assert await ask(browser, "GET", "/", old) != 401
    house.clock.go(minutes=6)
    assert await ask(browser, "GET", "/", old) == 401


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        ("POST", "/here", "cors"),
        ("GET", "/account", "navigate"),
        ("PATCH", "/api/uploads/none", "cors"),
        ("POST", "/api/submissions", "cors"),
    ],
)
async def test_acts_of_a_person_let_it_wait_anew(house: House, method: str, path: str, mode: str) -> None:
    browser = await anna(house)
    for _ in range(10):
        house.clock.go(minutes=25)
        assert await ask(browser, method, path, {**BY_SCRIPT, "sec-fetch-mode": mode}) != 401
    house.clock.go(minutes=31)
    assert await ask(browser, "GET", "/api/whoami") == 401


async def test_an_act_right_after_a_page_asked_by_itself_counts(house: House) -> None:
    """What is remembered of a session for some seconds must not hide an act."""
    browser = await anna(house)
    house.clock.go(minutes=29)
    assert await ask(browser, "GET", "/here") == 200
    house.clock.go(seconds=1)
    assert await ask(browser, "POST", "/here") == 200
    house.clock.go(minutes=29)
    assert await ask(browser, "GET", "/here") == 200


async def test_what_is_remembered_of_a_session_does_not_outlast_it(house: House) -> None:
    browser = await anna(house)
    house.clock.go(minutes=30, seconds=-1)
    assert await ask(browser, "GET", "/here") == 200
    house.clock.go(seconds=2)
    assert await ask(browser, "POST", "/here") == 401


async def test_a_page_learns_how_long_it_lasts_and_what_to_say_then(house: House) -> None:
    await house.person(ANNA, Role.VIEW, language="de")
    browser = house.browser()
    await browser.sign_in(ANNA)
    assert "/idle.js" in browser.text
    house.clock.go(minutes=10)
    found = (await browser.http.get("/here", headers=BY_SCRIPT)).json()
    assert found["left"] == timedelta(minutes=20).total_seconds()
    assert found["idle"] == 1800
    assert found["text"] == "Hier geschah 30 min lang nichts, deshalb wurden Sie abgemeldet."
    assert (await browser.http.post("/here", headers=BY_SCRIPT)).json()["left"] == 1800
    await browser.get("/login")
    stranger = house.browser()
    await stranger.get("/login")
    assert "/idle.js" not in stranger.text


async def test_another_site_can_not_keep_somebody_signed_in(house: House) -> None:
    browser = await anna(house)
    foreign = {**BY_SCRIPT, "sec-fetch-site": "cross-site"}
    assert await ask(browser, "POST", "/here", foreign) == 403
