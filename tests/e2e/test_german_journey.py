"""What scripts of administration write is German for a German reader: readiness, and why nobody answers."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.component.cli.server import free_port
from tests.e2e.browsing import PATIENCE_MS, as_person, watched
from tests.e2e.staging import House

pytestmark = pytest.mark.slow
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def chief(house: House, browser: Browser) -> Iterator[Page]:
    context = as_person(browser, house, "chief", locale="de-AT")
    context.add_cookies([{"name": "anteroom_language", "value": "de", "url": house.url}])
    with watched(context) as page:
        yield page
    context.close()


def test_doors_and_neighbours(house: House, chief: Page) -> None:
    chief.goto(f"{house.url}/admin")
    checks = chief.locator("#checks")
    expect(checks).to_contain_text("HL7-Tür")
    expect(checks).to_contain_text(
        "E-Mail ist nicht eingerichtet: setzen Sie host und sender in [notify.email]."
    )
    expect(checks).not_to_contain_text("not configured")


def test_why_a_destination_does_not_answer(house: House, chief: Page) -> None:
    house.destination("nowhere", "NOBODY", free_port())
    chief.goto(f"{house.url}/admin/destinations")
    chief.get_by_role("button", name="Antwortet es?").click()
    expect(chief.locator(".toasts")).to_contain_text("Das Ziel ist nicht benutzbar: NOBODY 127.0.0.1:")
    expect(chief.locator(".toasts")).to_contain_text("keine Verbindung (wurde abgewiesen).")
