"""Who is away is signed out, and nothing of the page stays to be seen; who works is not."""

import re
import time
from collections.abc import Callable, Iterator
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
PAUSED = Patient("Paused^Pia", "P-1", "19610203", "F", "CT paused", "20261102", 12, 512)
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
def built(tmp_path_factory: pytest.TempPathFactory) -> House:
    clerk = PEOPLE["kowalski"].model_copy(update={"roles": [Role.APPROVE, Role.SEND]})
    short = f"session_idle_minutes = {IDLE_S / 60}\n"
    return Guarded(tmp_path_factory.mktemp("idle"), more=short, people={**PEOPLE, "kowalski": clerk})


@pytest.fixture(scope="module")
def house(house: House) -> House:
    house.send("northside", slices(house.folder / "away", count=2, PatientName="Awayson^Ada"))
    return house


@pytest.fixture
def line(house: House) -> Iterator[Line]:
    """The network between the browser and the server."""
    made = Line(house.server.port, 4e6)
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


def work_until(page: Page, done: Callable[[], bool]) -> None:
    """Somebody moves the pointer there until it is so."""
    until = time.monotonic() + PATIENCE_MS / 1000
    while not done():
        assert time.monotonic() < until
        work_for(page, 0.5)


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


def test_a_page_is_covered_while_the_server_cannot_be_asked_and_comes_back(
    house: House, page: Page, line: Line
) -> None:
    """Nobody can tell whether somebody still works in another window, which is so here."""
    cut_off = page.context.new_page()
    cut_off.goto(f"http://127.0.0.1:{line.port}/studies/{house.study('Awayson')['id']}")
    patient = cut_off.get_by_text("Awayson").first
    expect(patient).to_be_visible()
    line.cut()
    page.bring_to_front()
    work_until(page, cut_off.locator("#signed-out").is_visible)
    expect(patient).to_be_hidden()
    line.mend()
    work_until(page, patient.is_visible)
    expect(cut_off.locator("#signed-out")).to_have_count(0)


def test_a_page_that_was_covered_is_emptied_once_the_server_says_that_it_is_over(
    house: House, page: Page, line: Line
) -> None:
    page.goto(f"http://127.0.0.1:{line.port}/studies/{house.study('Awayson')['id']}")
    expect(page.get_by_text("Awayson").first).to_be_visible()
    line.cut()
    expect(page.locator("#signed-out")).to_be_visible()
    assert "Awayson" in page.content(), "it comes back when somebody worked elsewhere"
    line.mend()
    page.wait_for_function("() => !document.documentElement.outerHTML.includes('Awayson')")
    expect(page.locator("#signed-out")).to_contain_text("so you were signed out")


def begin_to_send(page: Page, line: Line, folder: Path, patient: Patient) -> None:
    write_images(folder, patient)
    page.goto(f"http://127.0.0.1:{line.port}/send")
    page.set_input_files("#choose-folder", str(folder))
    page.wait_for_selector(f"{SEND}:enabled")
    line.rate = 0.25e6
    page.click(SEND)


def test_an_upload_under_way_is_not_thrown_out(house: House, page: Page, line: Line, tmp_path: Path) -> None:
    """Nobody touches the page from the moment it begins to send."""
    begin_to_send(page, line, tmp_path / "CD", SLOW)
    begun = time.monotonic()
    page.wait_for_url("**/s/*", timeout=PATIENCE_MS)
    assert time.monotonic() - begun > 1.5 * IDLE_S, "it was over before anybody could be away"
    expect(page.locator("#signed-out")).to_have_count(0)
    expect(page.get_by_text("Slow, Sam").first).to_be_visible()


def test_a_paused_upload_goes_on_once_somebody_signed_in_in_another_window(
    house: House, page: Page, line: Line, tmp_path: Path
) -> None:
    begin_to_send(page, line, tmp_path / "CD", PAUSED)
    page.wait_for_function("() => document.querySelector('.sending progress').value > 0")
    page.get_by_role("button", name="Pause").click()
    closed = page.locator("#signed-out")
    expect(closed).to_be_visible()
    with page.expect_popup() as opened:
        closed.get_by_role("link", name="Sign in and go on").click()
    line.rate = 4e6
    other = opened.value
    sign_in(other)
    work_until(other, page.get_by_role("button", name="Go on").is_visible)
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/s/*", timeout=PATIENCE_MS)
    expect(page.get_by_text("Paused, Pia").first).to_be_visible()
    expect(page.locator("#outcome")).to_contain_text(f"{PAUSED.images}")
