"""A folder is dropped on the page; its way is followed as it happens, in the sender's language."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.e2e.browsing import PATIENCE_MS, as_person, axe_source, drop, violations
from tests.e2e.discs import MORGAN, OTHER, write_disc, write_images
from tests.e2e.staging import House

pytestmark = pytest.mark.slow
expect.set_options(timeout=PATIENCE_MS)
SEND = "#send form button.big"


def german(browser: Browser, house: House, name: str, **options: Any) -> Page:
    context = as_person(browser, house, name, locale="de-DE", **options)
    context.add_cookies([{"name": "anteroom_language", "value": "de", "url": house.url}])
    return context.new_page()


def test_a_dropped_folder_is_read_whole_and_sent(house: House, browser: Browser, tmp_path: Path) -> None:
    write_disc(tmp_path / "CD", [MORGAN])
    (tmp_path / "letter.pdf").write_bytes(b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n")
    context = as_person(browser, house, "northside")
    page = context.new_page()
    page.goto(f"{house.url}/send")
    drop(page, "#send", tmp_path / "CD", tmp_path / "letter.pdf")
    expect(page.locator("#send .study")).to_have_count(1)
    expect(page.locator(".summary")).to_contain_text("24 images")
    expect(page.locator(".summary")).to_contain_text("letter.pdf")
    expect(page.locator(".summary")).to_contain_text("6 files are left out")
    page.click(SEND)
    page.wait_for_url("**/s/*", timeout=PATIENCE_MS)
    expect(page.locator("#outcome")).to_contain_text("The disc is complete: all 24 images came.")
    context.close()


def test_findings_are_said_in_german(house: House, browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "CD"
    write_images(folder, OTHER)
    whole = next(path for path in sorted(folder.rglob("*")) if path.is_file())
    whole.write_bytes(whole.read_bytes()[:-1000])
    (folder / "leer.pdf").write_bytes(b"")
    (folder / "brief.docm").write_bytes(b"PK\x03\x04 not what it says")
    submission = house.send("northside", [folder])
    page = german(browser, house, "northside")
    page.goto(f"{house.url}/s/{submission}")
    outcome = page.locator("#outcome")
    expect(outcome).to_contain_text("Die Datei ist unvollständig: am Ende fehlen")
    expect(outcome).to_contain_text("Die Datei ist leer.")
    for english in ("The file", "The archive", "Please", "is empty"):
        expect(page.locator("main")).not_to_contain_text(english)
    assert violations(page, axe_source()) == []
    page.context.close()


def test_the_page_follows_by_news_and_asks_for_nothing_without_any(
    house: House, browser: Browser, tmp_path: Path
) -> None:
    write_images(tmp_path / "CD", OTHER)
    submission = house.send("northside", [tmp_path / "CD"])
    house.study("Ødegård")
    context = as_person(browser, house, "northside")
    page = context.new_page()
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url.removeprefix(house.url))

    page.on("request", note)
    with page.expect_response(f"**/s/{submission}/live"):
        page.goto(f"{house.url}/s/{submission}")
    expect(page.locator("#outcome")).to_contain_text("files in all")
    quiet = len(asked)
    house.decide("Ødegård", action="ask-sender", reason="Is series 3 missing?")
    expect(page.locator("#state")).to_contain_text("Is series 3 missing?")
    expect(page.locator("h1")).to_contain_text("The hospital has a question")
    assert any(path == f"/s/{submission}/live" for path in asked[:quiet])
    assert {path.partition("?")[0] for path in asked[quiet:]} <= {
        f"/s/{submission}/state",
        f"/api/submissions/{submission}/outcome",
    }
    house.decide("Ødegård", action="decline", reason="Not ours.")
    expect(page.locator("h1")).to_contain_text("The hospital did not take the images over")
    assert len(asked) - quiet < 12, "a look for each piece of news, not every few seconds"
    context.close()
