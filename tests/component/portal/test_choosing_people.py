"""Whom the inbox is narrowed to and whom a study is shown to are found by typing, however many there are."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from kit.identity import ACCOUNTS, Account, Role
from services.portal.people.choosing import choices, name_of, only
from services.portal.people.finding import PLACES, catch_up
from tests.component.portal.browser import Browser
from tests.component.portal.conftest import House

MANY = 5000


class Read:
    """Rows that came out of the store, by whatever way."""

    def __init__(self, documents: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows = 0
        for name, size in (
            ("get", lambda found: found is not None),
            ("find", lambda page: len(page.items)),
            ("project", len),
        ):
            monkeypatch.setattr(type(documents), name, self._counted(getattr(type(documents), name), size))

    def _counted(
        self, original: Callable[..., Awaitable[Any]], size: Callable[[Any], int]
    ) -> Callable[..., Awaitable[Any]]:
        async def counted(*args: Any, **more: Any) -> Any:
            found = await original(*args, **more)
            self.rows += size(found)
            return found

        return counted


async def ask(browser: Browser, what: str, asked: str) -> httpx.Response:
    headers = {"origin": "http://here", "sec-fetch-site": "same-origin", "accept": "application/json"}
    return await browser.http.post(f"/api/choose/{what}", json={"q": asked}, headers=headers)


async def hospital(house: House) -> Browser:
    await house.person("anna.ayres@north.example", Role.SEND, origin="North")
    await house.person("bo.nyström@hospital.example", Role.VIEW, departments=["Radiology"])
    root = await house.administrator()
    await catch_up(house.kit)
    return root


async def test_what_is_typed_finds_them(house: House) -> None:
    root = await hospital(house)
    [sender] = (await ask(root, "senders", "ayr")).json()
    assert (sender["name"], sender["beside"]) == ("anna.ayres", "North")
    [place] = (await ask(root, "recipients", "radi")).json()[:1]
    assert (place["value"], place["name"]) == ("department:radiology", "Radiology")
    [person] = (await ask(root, "colleagues", "nyst")).json()
    assert (person["name"], person["beside"]) == ("bo.nyström", "Radiology")
    assert (await ask(root, "colleagues", "hospital.example")).json() == [], "addresses tell nobody"
    assert (await ask(root, "colleagues", "anna")).json() == []
    assert (await ask(root, "others", "anna")).status_code == 404


async def test_the_inbox_says_whom_it_is_narrowed_to(house: House) -> None:
    root = await hospital(house)
    [sender] = (await ask(root, "senders", "ayr")).json()
    await root.get(f"/?sender={sender['value']}&recipient=department:radiology")
    assert 'value="anna.ayres"' in root.text
    assert 'value="Radiology"' in root.text
    await root.get("/?sender=nobody&recipient=account:nobody")
    assert root.status == 200


async def test_a_whole_name_is_enough(house: House) -> None:
    await hospital(house)
    await house.person("bo@hospital.example", Role.VIEW, departments=["Surgery"])
    await catch_up(house.kit)
    for typed, name in {
        "Bo.Nyström": "bo.nyström",
        "Surgery": "Surgery",
        "bo": "bo",
        "Radiology": "Radiology",
    }.items():
        meant = await only(house.kit, "colleagues", typed)
        assert meant is not None, typed
        assert meant.name == name
    for typed in ("", " ", "nobody", "b", "nyström"):
        assert await only(house.kit, "colleagues", typed) is None, "a beginning may mean somebody else"


async def test_who_is_called_just_so_comes_first(house: House) -> None:
    await hospital(house)
    await house.person("surg@hospital.example", Role.VIEW)
    for number in range(12):
        await house.person(f"x{number}@hospital.example", Role.VIEW, departments=[f"Surg: ward {number}"])
    await catch_up(house.kit)
    found = await choices(house.kit, "colleagues", "surg")
    assert (len(found), found[0].name) == (12, "surg")
    [ward, *_] = await choices(house.kit, "recipients", "surg ward 11")
    assert await name_of(house.kit, ward.value) == "Surg: ward 11"


async def test_of_five_thousand_as_many_are_read_as_are_shown(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = await hospital(house)
    kit = house.kit
    await kit.documents.insert_many(
        ACCOUNTS,
        [
            Account(
                id=f"n{number}", name=f"Sam Sender {number:04}", email=f"s{number}@x.example",
                roles=[Role.SEND, Role.VIEW], departments=[f"Ward {number % 300}"],
            )
            for number in range(MANY)
        ],
    )  # fmt: skip
    await catch_up(kit)
    assert await kit.documents.count(PLACES, cap=1000) == 301
    await root.get("/")
    read = Read(kit.documents, monkeypatch)
    for asked in ("/", "/?sender=n7&recipient=account:n8", "/?recipient=department:ward 7"):
        read.rows = 0
        await root.get(asked)
        assert root.status == 200
        assert read.rows < 40, asked
        assert len(root.text) < 60_000
    for what in ("senders", "recipients", "colleagues"):
        for typed in ("", "sam", "sender 0", "ward", "nobody"):
            read.rows = 0
            found = (await ask(root, what, typed)).json()
            assert len(found) <= 12
            assert read.rows <= 150, (what, typed)
    [one] = (await ask(root, "senders", "sam 4711")).json()
    assert one["name"] == "Sam Sender 4711"


async def test_it_is_for_people_of_the_hospital(house: House) -> None:
    await hospital(house)
    sender, doctor = house.browser(), house.browser()
    await sender.sign_in("anna.ayres@north.example")
    await doctor.sign_in("bo.nyström@hospital.example")
    assert [(await ask(sender, what, "a")).status_code for what in ("senders", "colleagues")] == [403, 403]
    assert [(await ask(doctor, what, "a")).status_code for what in ("senders", "colleagues")] == [403, 200]
