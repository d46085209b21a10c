"""What happens between the making of a page and the opening of its stream of news is not missed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect
from pydicom.uid import generate_uid

from tests.e2e.browsing import PATIENCE_MS, as_person, watched
from tests.e2e.staging import House, slices

pytestmark = pytest.mark.slow
expect.set_options(timeout=PATIENCE_MS)
STREAM = re.compile(r"/live(\?|$)")


@pytest.fixture
def clerk(house: House, browser: Browser) -> Iterator[Page]:
    context = as_person(browser, house, "kowalski")
    with watched(context) as page:
        yield page
    context.close()


@contextmanager
def deaf(page: Page, address: str) -> Iterator[None]:
    """The page is opened, but hears nothing until the end of this."""
    held: list[Route] = []
    page.route(STREAM, lambda route: held.append(route))
    with page.expect_request(STREAM):
        page.goto(address)
    yield
    assert held
    for route in held:
        route.continue_()


def asked_and_told(house: House, family: str, question: str) -> None:
    """The sender was asked, and pages that listen have been told of it."""
    house.decide(family, action="ask-sender", reason=question)
    study = house.study(family)["id"]
    with house.api("chief") as api:
        house.wait(
            lambda: any(
                entry["action"] == "ask-sender" for entry in api.get(f"/api/audit?about={study}")["entries"]
            )
        )


def test_the_inbox_asks_once_for_all_it_missed(house: House, clerk: Page, tmp_path: Path):
    for family in ("Early", "Other"):
        files = slices(tmp_path / family, 1, PatientName=f"{family}^E", PatientID=family)
        house.send("northside", files)
        house.study(family)
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url.removeprefix(house.url))

    with deaf(clerk, house.url):
        expect(clerk.locator("#rows > tr")).to_have_count(2)
        for family in ("Early", "Other"):
            asked_and_told(house, family, "Which one?")
        clerk.locator(".main-link").first.focus()
        clerk.on("request", note)
    for family in ("Early", "Other"):
        expect(clerk.locator("#rows > tr", has_text=family)).to_contain_text("Sender was asked")
    expect(clerk.locator("#tabs")).to_contain_text("Sender was asked 2")
    expect(clerk.locator(".main-link:focus")).to_have_count(1)
    assert {path for path in asked if "/inbox" in path} == {"/inbox/now"}, "not one a row"


def test_a_study_that_came_meanwhile_is_there(house: House, clerk: Page, tmp_path: Path):
    with deaf(clerk, house.url):
        expect(clerk.get_by_role("link", name="Late, L")).to_have_count(0)
        house.send("northside", slices(tmp_path, 1, PatientName="Late^L", PatientID="Late"))
        house.study("Late")
    expect(clerk.get_by_role("link", name="Late, L")).to_be_visible()


def test_the_page_of_a_study_catches_up_and_hears_what_is_said(house: House, clerk: Page, tmp_path: Path):
    house.send("northside", slices(tmp_path, 1, PatientName="Mid^M", PatientID="Mid"))
    study = house.study("Mid")["id"]
    with deaf(clerk, f"{house.url}/studies/{study}"):
        expect(clerk.locator("#decide")).not_to_contain_text("The sender was asked")
        asked_and_told(house, "Mid", "Which knee?")
    expect(clerk.locator("#decide")).to_contain_text("Which knee?")
    expect(clerk.locator("#history")).to_contain_text("sender was asked")
    clerk.get_by_label("Write a comment").fill("half a senten")
    with watched(clerk.context) as colleague:
        colleague.goto(f"{house.url}/studies/{study}")
        colleague.get_by_label("Write a comment").fill("It is the left one.")
        colleague.get_by_role("button", name="Write").click()
        expect(colleague.locator("#said")).to_contain_text("It is the left one.")
    expect(clerk.locator("#said")).to_contain_text("It is the left one.")
    expect(clerk.get_by_label("Write a comment")).to_have_value("half a senten")


def test_images_that_come_meanwhile_can_be_looked_at(house: House, clerk: Page, tmp_path: Path):
    """What is looked at stays where it is; more of its series and another series join it."""
    study, first, second = generate_uid(), generate_uid(), generate_uid()
    about = {"PatientName": "Grow^G", "PatientID": "Grow", "StudyInstanceUID": study}

    def send(name: str, count: int, series: str) -> None:
        house.send("northside", slices(tmp_path / name, count, **about, SeriesInstanceUID=series))

    send("a", 2, first)
    clerk.goto(f"{house.url}/studies/{house.study('Grow')['id']}")
    expect(clerk.locator("#look")).to_have_attribute("data-state", "ready")
    expect(clerk.locator("#look-place")).to_contain_text("1 / 2")
    send("b", 5, first)
    send("c", 3, second)
    expect(clerk.locator(".series button")).to_have_count(2)
    expect(clerk.locator("#look-place")).to_contain_text("/ 7")
    expect(clerk.locator(".series")).to_contain_text("7 images")
    clerk.locator(".series button", has_text="3 images").click()
    expect(clerk.locator("#look-place")).to_contain_text("2 / 3")
    expect(clerk.locator("#look")).to_have_attribute("data-state", "ready")
