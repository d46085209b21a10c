"""Markup in a patient's name, in DICOM values, HL7 values, file names and what people type is text in a real
browser too, also where scripts build the page; and the browser has nothing to refuse."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from schemas.shapes import Demographics, Order
from tests.e2e.browsing import PATIENCE_MS, as_person, drop
from tests.e2e.staging import House, slices

pytestmark = pytest.mark.slow
expect.set_options(timeout=PATIENCE_MS)
MARKUP = "<zq-x>zq<script>zq()</script>"
FILE = "<zq-x>zq<img src=zq onerror=zq()>.pdf"
HARM = "zq-x, [src=zq], [onerror]"
SEND = "#send form button.big"


@pytest.fixture(scope="module")
def house(house: House) -> House:
    patient = {"patient_id": MARKUP, "issuer": "HOSPITAL", "birth_date": "19600101", "sex": "O"}
    house.announce(
        Demographics(name=f"{MARKUP}^Zoe", **patient),
        Order(accession_number="A1", requested_procedure_description=MARKUP, modality="MR"),
    )
    return house


@contextmanager
def watching(context: BrowserContext) -> Iterator[Page]:
    """A page; that anything was refused by its policy, or failed, is an error."""
    page, refused = context.new_page(), list[str]()

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            refused.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: refused.append(str(error)))
    yield page
    assert [text for text in refused if "zq" in text or "Content Security" in text] == []


def shown(page: Page, place: str) -> None:
    """The markup is there to be read, and is none."""
    expect(page.locator(place)).to_contain_text("<zq-x>zq")
    expect(page.locator(HARM)).to_have_count(0)


def test_from_sending_to_deciding_markup_stays_text(house: House, browser: Browser, tmp_path: Path) -> None:
    about = {"PatientName": f"{MARKUP}^Zoe", "PatientID": MARKUP, "StudyDescription": MARKUP}
    files = slices(tmp_path / "CD", 2, **about, SeriesDescription=MARKUP, ReferringPhysicianName=MARKUP)
    (tmp_path / "CD" / FILE).write_bytes(b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n")
    (tmp_path / "CD" / f"{FILE}.dcm").write_bytes(files[0].read_bytes()[:600])
    context = as_person(browser, house, "northside")
    with watching(context) as page:
        page.goto(f"{house.url}/send")
        page.fill("input[name=patient]", MARKUP)
        drop(page, "#send", tmp_path / "CD")
        expect(page.locator("#send .study")).to_have_count(1)
        shown(page, "#send .study")
        shown(page, ".summary")
        page.click(SEND)
        box = page.get_by_role("checkbox")
        page.wait_for_function(
            "() => location.pathname.startsWith('/s/') || document.querySelector('.checks *')"
        )
        if "/s/" not in page.url:
            for one in box.all():
                one.check()
            page.click(SEND)
        page.wait_for_url("**/s/*")
        shown(page, "#outcome")
        submission = page.url.rsplit("/", 1)[1]
        for path in (f"/s/{submission}/receipt", "/submissions", "/"):
            page.goto(house.url + path)
            shown(page, "main")
    context.close()
    study = house.study("<zq")["id"]
    context = as_person(browser, house, "kowalski")
    with watching(context) as page:
        page.goto(house.url)
        shown(page, "#rows")
        page.goto(f"{house.url}/studies/{study}")
        for place in ("h1", "#identity", "#documents"):
            shown(page, place)
        page.get_by_label("Write a comment").fill(MARKUP)
        page.get_by_role("button", name="Write").click()
        shown(page, "#comments")
        page.get_by_label("Search the hospital’s patients").fill("<zq")
        expect(page.locator(".hits button")).to_be_visible()
        shown(page, ".hits")
        page.locator(".hits button").click()
        expect(page.locator(".searched")).to_be_visible()
        shown(page, "#says")
        page.get_by_role("button", name="Decline").click()
        page.locator("#decline textarea").fill(MARKUP)
        page.locator("#decline").get_by_role("button", name="Decline").click()
        shown(page, "#decide")
        expect(page.locator("#decide")).to_contain_text("Declined")
        page.goto(f"{house.url}/studies/{study}/share")
        page.get_by_label("Whom it is for").fill(MARKUP)
        page.get_by_role("button", name="Make the link").click()
        shown(page, "main")
    context.close()
    with house.api("chief") as api:
        api.put(f"/api/retention/kept/{study}", {"reason": MARKUP})
        api.post("/api/groups", {"name": MARKUP, "departments": [MARKUP]})
    context = as_person(browser, house, "chief")
    with watching(context) as page:
        for path in ("/admin/storage", "/admin/groups", "/admin/accounts/invite"):
            page.goto(house.url + path)
            shown(page, "main")
    context.close()
