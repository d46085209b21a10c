"""Who is away is signed out, and nothing of the page stays to be seen; who works is not."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from anteroom.embedded import open_embedded
from kit.identity import Role
from kit.service import Site
from services.portal.people.models import LOGINS, login_id
from services.portal.people.passwords import hash_password
from services.view.viewer import OHIF
from tests.component.portal.browser import PASSWORD
from tests.e2e.browsing import PATIENCE_MS, as_person, watched
from tests.e2e.discs import Patient, write_images
from tests.e2e.staging import PEOPLE, House, slices
from tests.neighbours.line import Line

pytestmark = pytest.mark.slow
expect.set_options(timeout=PATIENCE_MS)
IDLE_S = 8
EMAIL = "ewa@hospital.example"
SLOW = Patient("Slow^Sam", "S-1", "19510203", "M", "CT slow", "20261102", 10, 512)
SEND = "#send form button.big"


class Guarded(House):
    """In which a clerk signs in by password: a session as short as the settings say."""

    async def _people(self) -> None:
        await super()._people()
        embedded = open_embedded(self.server.data, Site())
        login = await embedded.kit.documents.get(LOGINS, login_id(EMAIL))
        assert login is not None
        login.password_hash = await hash_password(PASSWORD)
        await embedded.kit.documents.save(LOGINS, login)
        await embedded.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    clerk = PEOPLE["kowalski"].model_copy(update={"roles": [Role.APPROVE, Role.SEND]})
    short = f"session_idle_minutes = {IDLE_S / 60}\n"
    made = Guarded(tmp_path_factory.mktemp("idle"), more=short, people={**PEOPLE, "kowalski": clerk})
    made.open()
    made.send("northside", slices(made.folder / "away", count=2, PatientName="Awayson^Ada"))
    yield made
    made.close()


@pytest.fixture
def page(house: House, browser: Browser) -> Iterator[Page]:
    context = as_person(browser, house, "")
    with watched(context) as made:
        made.goto(f"{house.url}/login")
        sign_in(made)
        yield made
    context.close()


def sign_in(page: Page) -> None:
    page.locator('input[name="email"]').fill(EMAIL)
    page.locator('input[name="password"]').fill(PASSWORD)
    page.locator('input[name="password"]').press("Enter")
    page.wait_for_url(re.compile(r"^(?!.*/login)"))


def work_for(page: Page, seconds: float) -> None:
    """Somebody moves the pointer all the while."""
    until, step = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        step += 1
        page.mouse.move(300 + step % 50, 300)
        page.wait_for_timeout(500)


def test_who_leaves_an_open_page_is_signed_out_and_comes_back_to_it(house: House, page: Page) -> None:
    study = house.study("Awayson")["id"]
    page.goto(f"{house.url}/studies/{study}")
    expect(page.get_by_text("Awayson").first).to_be_visible()
    expect(page.get_by_text("You are about to be signed out.")).to_be_visible()
    closed = page.locator("#signed-out")
    expect(closed).to_contain_text("so you were signed out")
    assert "Awayson" not in page.content()
    assert "Awayson" not in page.title()
    closed.get_by_role("link", name="Sign in and go on").click()
    page.wait_for_url(re.compile(r"/login\?next="))
    sign_in(page)
    page.wait_for_url(re.compile(rf"/studies/{study}$"))
    expect(page.get_by_text("Awayson").first).to_be_visible()


def test_who_works_stays_and_a_second_window_is_kept_by_the_first(house: House, page: Page) -> None:
    study = house.study("Awayson")["id"]
    page.goto(house.url)
    other = page.context.new_page()
    other.goto(f"{house.url}/studies/{study}")
    work_for(page, 2.5 * IDLE_S)
    for window in (page, other):
        expect(window.locator("#signed-out")).to_have_count(0)
        expect(window.get_by_text("Awayson").first).to_be_visible()
    expect(other.locator("#signed-out")).to_be_visible()
    expect(page.locator("#signed-out")).to_be_visible()


def test_a_warning_is_answered_by_moving_the_pointer(house: House, page: Page) -> None:
    page.goto(house.url)
    warning = page.get_by_text("You are about to be signed out.")
    expect(warning).to_be_visible()
    page.mouse.move(100, 400)
    page.mouse.move(140, 420)
    expect(warning).to_have_count(0)
    expect(page.locator("#signed-out")).to_have_count(0)


@pytest.mark.skipif(not (OHIF / "index.html").exists(), reason="the viewer is not prepared (make viewer)")
def test_who_works_in_the_viewer_stays_and_who_left_it_does_not(house: House, page: Page) -> None:
    page.goto(f"{house.url}/studies/{house.study('Awayson')['id']}")
    address = page.get_by_role("link", name="Open in viewer").get_attribute("href")
    page.goto(f"{house.url}{address}")
    work_for(page, 2.5 * IDLE_S)
    expect(page.locator("#signed-out")).to_have_count(0)
    expect(page.locator("#signed-out")).to_be_visible()
    assert "Awayson" not in page.content()


def test_an_upload_under_way_is_not_thrown_out(house: House, page: Page, tmp_path: Path) -> None:
    """Nobody touches the page from the moment it begins to send."""
    line = Line(house.server.port, 4e6)
    try:
        write_images(tmp_path / "CD", SLOW)
        page.goto(f"http://127.0.0.1:{line.port}/send")
        page.set_input_files("#choose-folder", str(tmp_path / "CD"))
        page.wait_for_selector(f"{SEND}:enabled")
        line.rate = 0.25e6
        begun = time.monotonic()
        page.click(SEND)
        page.wait_for_url("**/s/*", timeout=PATIENCE_MS)
        assert time.monotonic() - begun > 1.5 * IDLE_S, "it was over before anybody could be away"
        expect(page.locator("#signed-out")).to_have_count(0)
        expect(page.get_by_text("Slow, Sam").first).to_be_visible()
    finally:
        line.close()
