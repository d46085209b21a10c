"""In a real browser: the first administrator, an invitation, a second factor, being locked out."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsing import PATIENCE_MS
from tests.e2e.server import Server

pytestmark = pytest.mark.slow
PASSWORD = "violet harbour lantern"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "house")
    made.start()
    yield made
    made.stop()


def somebody(browser: Browser, server: Server) -> Page:
    """A fresh browser, in which no script fails and nothing is asked of any other server."""
    context = browser.new_context(base_url=server.url, locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.on("request", lambda request: _ours(request.url, server))
    return page


def _ours(url: str, server: Server) -> None:
    if not url.startswith((server.url, "data:", "blob:")):
        pytest.fail(f"asked elsewhere: {url}")


def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    page.goto("/login")
    page.get_by_label("Email address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_from_the_first_link_to_a_locked_door(server: Server, browser: Browser) -> None:
    chief = somebody(browser, server)
    chief.goto((server.data / "welcome.link").read_text())
    chief.get_by_label("Your name").fill("Elena Kowalski")
    chief.get_by_label("Email address").fill("elena@hospital.example")
    chief.get_by_label("Password").fill(PASSWORD)
    chief.keyboard.press("Enter")
    expect(chief.get_by_role("link", name="Admin")).to_be_visible()

    chief.goto("/admin/accounts/invite")
    chief.get_by_label("Name", exact=True).fill("Northside Clinic")
    chief.get_by_label("Email address").fill("images@northside.example")
    chief.get_by_label("Send", exact=False).first.check()
    chief.get_by_role("button", name="Send the invitation").click()
    link = chief.locator("#link").inner_text()

    clinic = somebody(browser, server)
    clinic.goto(re.sub(r"^https?://[^/]+", server.url, link))
    clinic.get_by_label("Password").fill(PASSWORD)
    clinic.get_by_role("button", name="Go in").click()
    expect(clinic.get_by_role("link", name="Send", exact=True)).to_be_visible()
    expect(clinic.get_by_role("link", name="Admin")).to_have_count(0)
    refused = clinic.goto("/admin")
    assert refused is not None
    assert refused.status == 403
    expect(clinic.get_by_text("This is not for you to do")).to_be_visible()

    clinic.goto("/account/protect")
    clinic.get_by_text("No camera? Type it in").click()
    secret = pyotp.TOTP(clinic.locator("#letters").inner_text().replace(" ", ""))
    now = datetime.now(UTC)
    clinic.get_by_label("Enter the six digits it shows").fill(secret.at(now))
    clinic.get_by_label("Your password").fill(PASSWORD)
    clinic.get_by_role("button", name="Turn it on").click()
    recovery = clinic.locator("#codes code").first.inner_text()
    clinic.get_by_role("link", name="I have them").click()
    clinic.get_by_label("Your account").click()
    clinic.get_by_role("button", name="Sign out").first.click()
    expect(clinic.get_by_text("You are signed out.")).to_be_visible()
    sign_in(clinic, "images@northside.example")
    clinic.get_by_label("Code").fill(recovery)
    clinic.get_by_role("button", name="Go on").click()
    expect(clinic.get_by_role("link", name="Send", exact=True)).to_be_visible()

    stranger = somebody(browser, server)
    for _ in range(6):
        sign_in(stranger, "images@northside.example", "a wrong one")
    expect(stranger.get_by_role("alert")).to_contain_text("tried too often")

    chief.goto("/admin/accounts")
    chief.get_by_role("link", name="Northside Clinic").click()
    chief.get_by_role("button", name="Unlock now").click()
    chief.get_by_role("button", name="Shut out").click()
    chief.locator("#ask").get_by_role("button", name="Cancel").click()
    expect(chief.locator("#ask")).to_be_hidden()
    chief.get_by_role("button", name="Shut out").click()
    chief.locator("#ask").get_by_role("button", name="Shut out").click()
    expect(chief.get_by_text("The account is shut out.")).to_be_visible()
    clinic.goto("/account")
    expect(clinic.get_by_role("heading", name="Sign in")).to_be_visible()

    chief.goto("/admin/destinations-new")
    chief.get_by_label("Name").fill("nowhere")
    chief.get_by_label("Host").fill("127.0.0.1")
    chief.get_by_label("Port").fill("9")
    chief.get_by_label("Its AE title").fill("PACS")
    chief.get_by_role("button", name="Save").click()
    chief.get_by_role("button", name="Does it answer?").click()
    expect(chief.locator("output")).to_contain_text("does not answer")
    chief.goto("/admin/audit?action=locked")
    expect(chief.get_by_role("row", name=re.compile("was locked out"))).to_be_visible()
    chief.goto("/admin/feed")
    expect(chief.locator("[data-field=listening]")).to_have_text("open")
