"""The inbox as a file clerk works it: narrowing, views kept by name, several decided at once, by keyboard."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from schemas.shapes import Demographics
from tests.e2e.browsing import PATIENCE_MS, as_person, watched
from tests.e2e.staging import House, free_port, slices

pytestmark = pytest.mark.slow
expect.set_options(timeout=PATIENCE_MS)
KNOWN = {"First^Fritz": "F-1", "Second^Sara": "S-2"}


@pytest.fixture(scope="module")
def house(house: House) -> House:
    house.destination("main-pacs", "NOBODY", free_port())
    for name, patient_id in KNOWN.items():
        house.announce(
            Demographics(patient_id=patient_id, issuer="HOSPITAL", name=name, birth_date="19600101", sex="O")
        )
        about = {"PatientName": name, "PatientID": patient_id, "IssuerOfPatientID": "HOSPITAL"}
        files = slices(
            house.folder / patient_id, 2, **about, PatientBirthDate="19600101", PatientSex="O",
            StudyDescription=f"MR of {patient_id}",
        )  # fmt: skip
        house.send("northside", files, recipients=[{"name": "", "department": "Radiology"}])
    house.send("seeklinik", slices(house.folder / "u", 1, PatientName="Unknown^Una", PatientID="U"))
    for family in ("First", "Second", "Unknown"):
        house.study(family)
    return house


@pytest.fixture
def clerk(house: House, browser: Browser) -> Iterator[Page]:
    context = as_person(browser, house, "kowalski", viewport={"width": 1440, "height": 900})
    with watched(context) as page:
        page.goto(house.url)
        expect(page.locator("#rows > tr")).to_have_count(3)
        yield page
    context.close()


def test_what_it_is_narrowed_to_is_kept_as_a_view(house: House, clerk: Page):
    clerk.get_by_role("combobox", name="From").press_sequentially("northside")
    expect(clerk.get_by_role("option", name="Northside Clinic")).to_have_attribute("aria-selected", "true")
    clerk.keyboard.press("Enter")
    expect(clerk.locator("#rows > tr")).to_have_count(2)
    clerk.get_by_role("combobox", name="To").focus()
    expect(clerk.get_by_role("option", name="Radiology Department")).to_be_visible()
    while not clerk.locator("[role=option][aria-selected=true]", has_text="RadiologyDepartment").count():
        clerk.keyboard.press("ArrowDown")
    clerk.keyboard.press("Enter")
    expect(clerk.locator("[name=recipient]")).to_have_value("department:radiology")
    clerk.locator("[name=age]").select_option("week")
    expect(clerk.locator("#rows > tr")).to_have_count(2)
    clerk.locator("[name=age]").select_option("older")
    expect(clerk.locator("#list")).to_contain_text("No study fits this choice at the moment.")
    clerk.locator("[name=age]").select_option("overdue")
    expect(clerk.locator("#list")).to_contain_text("No study fits this choice at the moment.")
    clerk.locator("[name=age]").select_option("day")
    expect(clerk.locator("#rows > tr")).to_have_count(2)
    clerk.locator("details.views summary").click()
    clerk.get_by_label("Name of the view").fill("Northside today")
    clerk.locator("details.views").get_by_role("button", name="Save").click()
    expect(clerk.locator("main")).to_contain_text("The view is saved.")
    clerk.goto(house.url)
    clerk.locator("details.views summary").click()
    clerk.get_by_role("link", name="Northside today").click()
    expect(clerk.locator("#rows > tr")).to_have_count(2)
    expect(clerk.locator("[name=age]")).to_have_value("day")
    clerk.locator("details.views summary").click()
    clerk.get_by_role("button", name="Remove the view Northside today").click()
    expect(clerk.locator("main")).to_contain_text("The view is removed.")


def test_several_are_approved_by_keyboard_and_what_does_not_fit_is_said(house: House, clerk: Page):
    seen = []
    for _ in range(3):
        clerk.keyboard.press("j")
        seen.append(clerk.locator(".main-link:focus").inner_text())
        clerk.keyboard.press("x")
    assert len(set(seen)) == 3
    expect(clerk.locator("#chosen")).to_have_text("3 studies chosen")
    clerk.keyboard.press("k")
    clerk.keyboard.press("x")
    expect(clerk.locator("#chosen")).to_have_text("2 studies chosen")
    clerk.keyboard.press("x")
    clerk.keyboard.press("a")
    clerk.keyboard.press("Enter")
    expect(clerk.locator("#results")).to_contain_text("2 studies are approved.")
    expect(clerk.locator("#results")).to_contain_text("Unknown, Una")
    clerk.locator("#results").get_by_role("button", name="Close").click()
    for family in ("First", "Second"):
        house.wait(lambda family=family: house.study(family)["state"] == "approved")
    assert house.study("Unknown")["state"] == "unmatched"
    expect(clerk.locator("#bulk")).to_be_hidden()


def test_rows_say_what_is_decided_elsewhere_by_themselves(house: House, clerk: Page):
    row = clerk.locator("#rows > tr", has_text="Unknown, Una")
    expect(row).not_to_contain_text("Sender was asked")
    house.decide("Unknown", action="ask-sender", reason="Who is this?")
    expect(row).to_contain_text("Sender was asked")
    expect(clerk.locator("#tabs")).to_contain_text("Sender was asked 1")
