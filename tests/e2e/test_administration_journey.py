"""An administrator in a real browser: how long images are kept, the audit trail, groups; in German too."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsing import PATIENCE_MS, as_person, axe_source, violations, watched
from tests.e2e.staging import House, slices

pytestmark = pytest.mark.slow
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def chief(house: House, browser: Browser) -> Iterator[Page]:
    context = as_person(browser, house, "chief")
    with watched(context) as page:
        yield page
    context.close()


def test_retention_is_tried_before_it_is_saved(house: House, chief: Page, tmp_path: Path):
    house.send("northside", slices(tmp_path, 2, PatientName="Old^Olga", PatientID="OO"))
    house.decide("Old", action="decline", reason="Not ours.")
    chief.goto(f"{house.url}/admin/storage")
    expect(chief.locator("#figure")).to_contain_text("All images are kept for good.")
    days = chief.get_by_label("Days after a study was declined")
    days.fill("30")
    days.press("Tab")
    expect(chief.locator("#figure")).to_contain_text("At the moment no study is that old.")
    chief.reload()
    expect(days).to_have_value("")
    days.fill("30")
    chief.get_by_role("button", name="Save").click()
    chief.locator("#ask").get_by_role("button", name="Save").click()
    expect(chief.locator("main")).to_contain_text("Saved.")
    expect(days).to_have_value("30")
    study = house.study("Old")["id"]
    with house.api("chief") as api:
        api.put(f"/api/retention/kept/{study}", {"reason": "Teaching"})
    chief.reload()
    expect(chief.locator("main")).to_contain_text("1 study is kept by a person")
    chief.get_by_role("button", name="Let the study of Old, Olga go by the policy").click()
    expect(chief.locator("main")).to_contain_text("The policy applies to it again.")
    chief.goto(f"{house.url}/admin/audit")
    for said in ("changed how long images are kept", "keeps a study", "left a study to the policy"):
        expect(chief.locator("tbody")).to_contain_text(said)


def test_the_trail_is_checked(house: House, chief: Page):
    chief.goto(f"{house.url}/admin/audit")
    chief.get_by_role("button", name="Check the chain").click()
    expect(chief.locator("#checked")).to_contain_text("none changed")


def test_a_group_is_made_and_used(house: House, chief: Page):
    chief.goto(f"{house.url}/admin/groups/new")
    chief.locator("[name=name]").fill("File room")
    chief.locator("[name=roles][value=approve]").check()
    chief.locator("main form").last.get_by_role("button", name="Save").click()
    expect(chief.locator("main")).to_contain_text("File room")
    with house.api("chief") as api:
        [group] = api.get("/api/groups")
    assert group["roles"] == ["approve"]


def test_in_german_with_nothing_left_in_english(house: House, browser: Browser):
    context = as_person(browser, house, "chief", viewport={"width": 390, "height": 844})
    context.add_cookies([{"name": "anteroom_language", "value": "de", "url": house.url}])
    page, source = context.new_page(), axe_source()
    for path in ("/admin/storage", "/admin/audit", "/admin/groups", "/account"):
        page.goto(house.url + path)
        for english in ("Save", "Keep", "days", "study", "Nothing", "Check", "When"):
            expect(page.locator("main")).not_to_contain_text(english, use_inner_text=True)
        assert violations(page, source) == [], path
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), path
    context.close()
