"""Finding accounts: by what is typed, by kind and right, page by page, with no name in an address."""

import re
from typing import Any

import pytest

from kit.identity import ACCOUNTS, GROUPS, Account, Group, Principal, Role
from services.portal.accounts import save_group
from services.portal.people.finding import (
    ENTRIES,
    catch_up,
    find_accounts,
    find_departments,
    find_recipients,
    note,
)
from tests.component.portal.browser import Browser
from tests.component.portal.conftest import House


def shown(browser: Browser) -> list[str]:
    return re.findall(r'class="strong">([^<]*)</a>', browser.text)


async def hospital(house: House) -> Browser:
    await house.person("anna.ayres@north.example", Role.SEND, departments=["Thoracic surgery"])
    await house.person("bo.nyström@hospital.example", Role.VIEW, departments=["Radiology"])
    await house.person("cora@hospital.example", Role.APPROVE, disabled=True)
    await house.kit.documents.save(
        ACCOUNTS, Account(id="m1", name="Old CT", ae_titles=["CT_EAST"], roles=[Role.SEND])
    )
    return await house.administrator()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"q": "anna"}, ["anna.ayres"]),
        ({"q": "AYR north"}, ["anna.ayres"]),
        ({"q": "nystrom"}, ["bo.nyström"]),
        ({"q": "surg"}, ["anna.ayres"]),
        ({"q": "ct_ea"}, ["Old CT"]),
        ({"q": "yres"}, []),
        ({"kind": "machines"}, ["Old CT"]),
        ({"kind": "out"}, ["cora"]),
        ({"role": "view"}, ["bo.nyström"]),
        ({"role": "send", "kind": "people"}, ["anna.ayres"]),
        ({"role": "send", "q": "old"}, ["Old CT"]),
        ({"kind": "people"}, ["anna.ayres", "bo.nyström", "cora", "root"]),
        ({"kind": "=role", "role": "x;"}, ["anna.ayres", "bo.nyström", "cora", "Old CT", "root"]),
    ],
)
async def test_an_administrator_finds_accounts(
    house: House, asked: dict[str, Any], expected: list[str]
) -> None:
    root = await hospital(house)
    await root.get("/admin/accounts")
    await root.post("/admin/accounts/search", **asked)
    assert root.status == 200
    assert root.path == "/admin/accounts/search"
    assert shown(root) == expected
    assert ("Nobody found" in root.text) == (expected == [])


async def test_a_long_list_comes_page_by_page(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.portal.pages.admin.accounts._PAGE", 2)
    root = await hospital(house)
    await root.get("/admin/accounts")
    found = shown(root)
    while 'name="cursor"' in root.text:
        cursor = root.value("cursor")
        form = {"csrf": root.value("csrf"), "q": "", "kind": "", "role": "", "cursor": cursor}
        headers = {"origin": "http://here", "sec-fetch-site": "same-origin", "hx-request": "true"}
        root.page = await root.http.post("/admin/accounts/search", data=form, headers=headers)
        assert "<html" not in root.text
        assert len(shown(root)) <= 2
        found += shown(root)
    assert found == ["anna.ayres", "bo.nyström", "cora", "Old CT", "root"]


async def test_without_scripts_more_is_a_page_of_its_own(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.portal.pages.admin.accounts._PAGE", 3)
    root = await hospital(house)
    await root.get("/admin/accounts?kind=people")
    await root.post("/admin/accounts/search", kind="people", cursor=root.value("cursor"))
    assert shown(root) == ["root"]
    assert "<html" in root.text


async def test_what_is_changed_is_found_as_it_is_now(house: House) -> None:
    root = await hospital(house)
    await root.get("/admin/accounts")
    anna = (await find_accounts(house.kit, "anna", [], limit=5)).items[0]
    await root.get(f"/admin/accounts/{anna.id}")
    fields: dict[str, Any] = {"name": "Zoë Quist", "email": anna.email, "version": str(anna.version)}
    await root.post(f"/admin/accounts/{anna.id}", **fields, roles="view")
    assert [a.name for a in (await find_accounts(house.kit, "zoe", ["role:view"], limit=5)).items] == [
        "Zoë Quist"
    ]
    assert (await find_accounts(house.kit, "", ["role:send", "people"], limit=5)).items == []


async def test_a_group_gives_its_members_its_rights_here_too(house: House) -> None:
    await hospital(house)
    bo = (await find_accounts(house.kit, "bo", [], limit=5)).items[0]
    bo.groups = ["g1"]
    await house.kit.documents.save(ACCOUNTS, bo)
    root = (await find_accounts(house.kit, "root", [], limit=5)).items[0]
    await save_group(
        house.kit, Principal(root), Group(id="g1", name="Sending", roles=[Role.SEND], departments=["Ward 3"])
    )
    assert await house.kit.documents.get(GROUPS, "g1") is not None
    found = await find_accounts(house.kit, "ward", ["role:send"], limit=5)
    assert [account.name for account in found.items] == ["bo.nyström"]


async def test_what_others_left_behind_is_brought_to_date(house: House) -> None:
    await hospital(house)
    await catch_up(house.kit)
    anna = (await find_accounts(house.kit, "anna", [], limit=5)).items[0]
    anna.name = "Renamed"
    await house.kit.documents.save(ACCOUNTS, anna)
    assert (await find_accounts(house.kit, "renamed", [], limit=5)).items == []
    await catch_up(house.kit)
    assert [a.id for a in (await find_accounts(house.kit, "renamed", [], limit=5)).items] == [anna.id]
    await catch_up(house.kit)
    entry = await house.kit.documents.get(ENTRIES, anna.id)
    assert entry is not None
    assert entry.version == 2, "what is as it should be is not written"


async def test_senders_find_by_name_and_department_who_receives(house: House) -> None:
    await hospital(house)
    kit = house.kit

    async def names(asked: str) -> list[str]:
        return [account.name for account in await find_recipients(kit, asked, limit=5)]

    assert await names("") == ["bo.nyström", "root"]
    assert await names("radio") == ["bo.nyström"]
    assert await names("hospital") == [], "an address is nothing to find somebody by"
    assert await names("cora") == []
    assert await find_departments(kit, "rad", limit=5) == ["Radiology"]
    assert await find_departments(kit, "thor", limit=5) == [], "nobody there receives"
    bo = (await find_accounts(kit, "bo", [], limit=5)).items[0]
    bo.departments = ["Imaging"]
    await kit.documents.save(ACCOUNTS, bo)
    await note(kit, bo)
    assert await find_departments(kit, "", limit=5) == ["Imaging"]


async def test_the_audit_trail_is_searched_by_a_name_that_no_address_holds(house: House) -> None:
    root = await hospital(house)
    anna = house.browser()
    await anna.sign_in("anna.ayres@north.example")
    await root.get("/admin/audit")
    await root.post("/admin/audit", person="Anna Ay", action="signed-in")
    assert root.page is not None
    assert "nna" not in str(root.page.url)
    assert root.page.url.params["action"] == "signed-in"
    assert root.text.count("<tr>") == 2, "the head, and one entry"
    assert root.text.count('value="anna.ayres"') == 2, "in the field, and beside it as what it means"
    shown, meant, ids = root.page.url, "anna.ayres", root.value("accounts")
    await root.post("/admin/audit", person=meant, meant=meant, accounts=ids, action="signed-in")
    assert root.page.url == shown
    await root.post("/admin/audit", person="Nobody known")
    assert root.page.url.params["person"] == "nobody"
    assert "Nothing found" in root.text
    await root.post("/admin/audit", person="policy:retention")
    assert root.page.url.params["person"] == "policy:retention"
    await root.post("/admin/audit", person="")
    assert not root.page.url.query
