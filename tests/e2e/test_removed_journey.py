"""Pages say of images and documents that were removed that they are gone, and offer nothing of them."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser, Page, expect

from anteroom.embedded import open_embedded
from kit.clock import utc_now
from kit.service import Site
from services.portal.models import CASES, Gone
from services.validate.models import TALLIES, FilesGone
from tests.e2e.browsing import PATIENCE_MS, as_person, watched
from tests.e2e.staging import House, slices

pytestmark = pytest.mark.slow
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def house(house: House) -> House:
    house.send("northside", slices(house.folder / "leaving", count=3, PatientName="Leaving^Lena"))
    return house


@pytest.fixture
def clerk(house: House, browser: Browser) -> Iterator[Page]:
    context = as_person(browser, house, "kowalski")
    with watched(context) as page:
        yield page
    context.close()


async def _change(house: House, study: str, gone: Gone | None) -> None:
    embedded = open_embedded(house.server.data, Site())
    case = await embedded.kit.documents.get(CASES, study)
    assert case is not None
    case.gone = gone
    await embedded.kit.documents.save(CASES, case)
    await embedded.close()


def change(house: House, study: str, gone: Gone | None) -> None:
    """As retention leaves it behind; the page hears of it when its stream of news comes back."""
    house.server.stop()
    # Playwright has a loop of its own in this thread.
    with ThreadPoolExecutor(1) as other:
        other.submit(lambda: asyncio.run(_change(house, study, gone))).result()
    house.server.start()


def test_removed_images_leave_the_open_page_and_new_ones_come_back(house: House, clerk: Page) -> None:
    study = house.study("Leaving")["id"]
    with clerk.expect_response(lambda answer: "/live?study=" in answer.url):
        clerk.goto(f"{house.url}/studies/{study}")
    expect(clerk.locator("#look-place")).not_to_be_empty()
    expect(clerk.get_by_role("link", name="Open in viewer")).to_be_visible()
    change(house, study, Gone(time=utc_now(), rule="declined", bytes=5_000_000))
    expect(clerk.locator("#images")).to_contain_text("The images are no longer here")
    expect(clerk.locator("#images")).to_contain_text("ask the sender to send them once more")
    expect(clerk.locator("canvas")).to_have_count(0)
    expect(clerk.get_by_role("link", name="Open in viewer")).to_have_count(0)
    change(house, study, None)
    expect(clerk.locator("#look-place")).not_to_be_empty()
    expect(clerk.get_by_role("link", name="Open in viewer")).to_be_visible()


def change_documents(house: House, submission: str) -> None:
    """As validate leaves them, once retention let them go."""

    async def change() -> None:
        embedded = open_embedded(house.server.data, Site())
        tally = await embedded.kit.documents.get(TALLIES, submission)
        assert tally is not None
        tally.gone["documents"] = FilesGone(time=utc_now(), files=1, bytes=9, batches=[*tally.settled])
        await embedded.kit.documents.save(TALLIES, tally)
        await embedded.close()

    house.server.stop()
    with ThreadPoolExecutor(1) as other:
        other.submit(lambda: asyncio.run(change())).result()
    house.server.start()


def test_a_document_that_was_removed_is_named_and_not_offered(house: House, clerk: Page) -> None:
    report = house.folder / "report.pdf"
    report.write_bytes(b"%PDF-1.4 a report")
    images = slices(house.folder / "reported", count=1, PatientName="Reported^Rosa")
    submission = house.send("northside", [*images, report])
    study = house.study("Reported")["id"]
    clerk.goto(f"{house.url}/studies/{study}")
    papers = clerk.locator("#documents")
    expect(papers).to_contain_text("report.pdf")
    expect(papers.get_by_role("link", name="Download")).to_be_visible()
    change_documents(house, submission)
    clerk.goto(f"{house.url}/studies/{study}")
    expect(papers).to_contain_text("removed by the policy on")
    expect(papers).to_contain_text("report.pdf")
    expect(papers.get_by_role("link")).to_have_count(0)
