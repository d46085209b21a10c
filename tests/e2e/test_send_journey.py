"""A referring clinic sends discs from a real browser: read, split, interrupted, followed, by a link."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.browsing import as_person, axe_source, drop, violations, watched
from tests.e2e.discs import MORGAN, OTHER, Patient, write_disc, write_images, write_iso
from tests.e2e.staging import House
from tests.neighbours.line import Line

PATIENCE_MS = 120_000
LARGE = Patient("Large^Linda", "L-1", "19550505", "F", "CT runoff", "20261101", 90, 512)
MANY = Patient("Many^Max", "M-1", "19480101", "M", "MR many", "20261103", 3000, 8)
SEND = "#send form button.big"
DRAWN = """() => [...document.querySelectorAll(".study canvas")].every((canvas) => {
  const pen = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
  pen.drawImage(canvas, 0, 0);
  return new Set(pen.getImageData(0, 0, canvas.width, canvas.height).data).size > 20;
})"""
"""Each preview shows an image of many greys."""


@pytest.fixture
def context(house: House, browser: Browser) -> Iterator[BrowserContext]:
    context = as_person(browser, house, "northside")
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def page(house: House, context: BrowserContext) -> Iterator[Page]:
    with watched(context) as page:
        page.goto(f"{house.url}/send")
        yield page


def choose(page: Page, folder: Path) -> None:
    page.set_input_files("#choose-folder", str(folder))
    page.wait_for_selector(f"{SEND}:enabled", timeout=PATIENCE_MS)


def outcome(house: House, submission: str) -> dict[str, Any]:
    """Once every file has its state."""
    found: dict[str, Any] = {}

    def settled() -> bool:
        with house.api("northside") as api:
            found.update(api.get(f"/api/submissions/{submission}/outcome?limit=0"))
        return bool(found["state"] == "validated")

    house.wait(settled)
    return found


@pytest.fixture
def line(house: House) -> Iterator[Line]:
    """A slow network to the server; pages opened through it are at its port."""
    line = Line(house.server.port, 4e6)
    yield line
    line.close()


def over(line: Line, page: Page) -> None:
    page.goto(f"http://127.0.0.1:{line.port}/send")


def submissions(house: House) -> list[str]:
    with house.api("northside") as api:
        return [item["id"] for item in api.get("/api/submissions")["items"]]


def tracked(page: Page) -> str:
    page.wait_for_url("**/s/*", timeout=PATIENCE_MS)
    return page.url.rsplit("/", 1)[1]


def test_a_disc_with_a_viewer_and_two_patients_becomes_two_submissions(
    house: House, page: Page, tmp_path: Path
) -> None:
    choose(page, write_disc(tmp_path / "CD", [MORGAN, OTHER]))
    expect(page.locator("#send .study")).to_have_count(2)
    expect(page.locator(".summary")).to_contain_text("Morgan, Alexandra")
    expect(page.locator(".summary")).to_contain_text("6 files are left out")
    expect(page.locator(".summary")).to_contain_text("Report.pdf")
    expect(page.locator(".study canvas")).to_have_count(4)
    page.click(SEND)
    expect(page.locator("#send.going")).to_have_count(0)
    page.fill("#to", "radio")
    page.get_by_role("option", name="Radiology").first.click()
    page.click("text=Send 2 separate submissions")
    before = set(submissions(house))
    page.click(SEND)
    page.wait_for_selector("#send.done", timeout=PATIENCE_MS)
    made = set(submissions(house)) - before
    results = [outcome(house, submission) for submission in made]
    assert sorted((one["stored"], one["document"], one["refused"]) for one in results) == [
        (6, 0, 0),
        (24, 1, 0),
    ]
    with house.api("okafor") as api:
        seen = {study["patient"]["name"] for study in api.get("/api/studies")["studies"]}
    assert {MORGAN.name, OTHER.name} <= seen


def test_a_whole_disc_says_that_it_is_complete(house: House, page: Page, tmp_path: Path) -> None:
    choose(page, write_disc(tmp_path / "CD", [Patient(**{**MORGAN.__dict__, "patient_id": "88-1204"})]))
    page.click(SEND)
    submission = tracked(page)
    assert outcome(house, submission)["discs"][0]["missing_count"] == 0
    expect(page.locator("#outcome")).to_contain_text("The disc is complete: all 24 images came.")
    expect(page.locator("#state")).to_contain_text("Your images are being reviewed")
    page.goto(f"{house.url}/s/{submission}/receipt")
    expect(page.locator(".receipt")).to_contain_text("24 images")
    page.goto(f"{house.url}/submissions")
    expect(page.locator("tbody tr").first).to_contain_text("Morgan, Alexandra")


def test_somebody_else_than_the_sender_meant_is_asked_about(house: House, page: Page, tmp_path: Path) -> None:
    write_images(tmp_path / "CD", OTHER)
    page.fill("input[name=patient]", "Morgan")
    choose(page, tmp_path / "CD")
    expect(page.locator(".checks")).to_contain_text("This seems to be somebody else.")
    before = submissions(house)
    page.click(SEND)
    assert submissions(house) == before
    page.fill("input[name=patient]", "Odegard 1978")
    expect(page.locator(".checks")).to_be_empty()


def test_sending_goes_on_after_a_lost_network_and_a_killed_server(
    house: House, page: Page, line: Line, tmp_path: Path
) -> None:
    write_images(tmp_path / "CD", LARGE)
    over(line, page)
    choose(page, tmp_path / "CD")
    page.click(SEND)
    look = page.locator(".look-link a").first
    look.wait_for(timeout=PATIENCE_MS)
    assert "/s/" not in page.url, "a study can be looked at while the rest is sent"
    line.cut()
    expect(page.locator(".hint")).to_contain_text("can’t be reached", timeout=PATIENCE_MS)
    line.mend()
    expect(page.locator(".hint")).to_contain_text("You can close this page", timeout=PATIENCE_MS)
    house.server.kill()
    expect(page.locator(".hint")).to_contain_text("can’t be reached", timeout=PATIENCE_MS)
    house.server.start()
    submission = tracked(page)
    result = outcome(house, submission)
    assert (result["sent"], result["stored"], result["duplicate"]) == (90, 90, 0)

    before = submissions(house)
    page.goto(f"{house.url}/send")
    choose(page, tmp_path / "CD")
    page.click(SEND)
    expect(page.locator(".said")).to_contain_text("You sent exactly these files already.")
    assert submissions(house) == before
    assert outcome(house, submission)["sent"] == 90


def test_the_same_folder_goes_on_after_the_page_was_closed(
    house: House, page: Page, line: Line, context: BrowserContext, tmp_path: Path
) -> None:
    write_images(tmp_path / "CD", LARGE)
    over(line, page)
    choose(page, tmp_path / "CD")
    page.click(SEND)
    page.locator(".look-link a").first.wait_for(timeout=PATIENCE_MS)
    page.close()
    again = context.new_page()
    over(line, again)
    choose(again, tmp_path / "CD")
    expect(again.locator(".said")).to_contain_text("You began to send these files.")
    again.click(SEND)
    result = outcome(house, tracked(again))
    assert (result["sent"], result["stored"], result["duplicate"]) == (90, 90, 0)


def test_three_thousand_small_files_leave_the_page_usable(
    house: House, page: Page, line: Line, tmp_path: Path
) -> None:
    write_images(tmp_path / "CD", MANY, series=12)
    over(line, page)
    choose(page, tmp_path / "CD")
    expect(page.locator(".summary")).to_contain_text("3,000 images")
    assert page.locator("#send *").count() < 300
    page.click(SEND)
    page.click(".sending button")
    expect(page.locator(".hint")).to_contain_text("Paused")
    page.click(".sending button")
    result = outcome(house, tracked(page))
    assert (result["sent"], result["stored"]) == (3000, 3000)


def test_a_dropped_folder_of_many_files_comes_whole(house: House, page: Page, tmp_path: Path) -> None:
    """Browsers tell of a folder's files a hundred at a time, and forms hold fewer than a batch does."""
    many = Patient("Drop^Dora", "D-1", "19610606", "F", "MR drop", "20261104", 260, 8)
    write_images(tmp_path / "CD", many)
    drop(page, "#send", tmp_path / "CD")
    expect(page.locator(".summary")).to_contain_text("260 images")
    page.click(SEND)
    result = outcome(house, tracked(page))
    assert (result["sent"], result["stored"]) == (260, 260)


def test_a_zip_is_opened_in_the_browser(house: House, page: Page, tmp_path: Path) -> None:
    import shutil

    write_disc(tmp_path / "CD", [OTHER])
    packed = shutil.make_archive(str(tmp_path / "disc"), "zip", tmp_path / "CD")
    page.set_input_files("#choose-files", packed)
    page.wait_for_selector(f"{SEND}:enabled", timeout=PATIENCE_MS)
    expect(page.locator("#send .study")).to_have_count(1)
    expect(page.locator(".summary")).to_contain_text("6 files are left out")
    page.click(SEND)
    result = outcome(house, tracked(page))
    assert (result["stored"] + result["duplicate"], result["refused"]) == (6, 0)


@pytest.mark.parametrize("joliet", [True, False], ids=["joliet", "plain"])
def test_a_dropped_disc_image_is_opened_in_the_browser(
    house: House, page: Page, tmp_path: Path, joliet: bool
) -> None:
    patient = Patient(
        f"Iso^Ida{'^J' * joliet}", f"I-{joliet}", "19590909", "F", "CT of a disc", "20261105", 8
    )
    disc = write_disc(tmp_path / "CD", [patient])
    drop(page, "#send", write_iso(tmp_path / "disc.iso", disc, joliet=joliet))
    expect(page.locator("#send .study")).to_have_count(1)
    expect(page.locator(".study canvas")).to_have_count(2)
    summary = page.locator(".summary")
    expect(summary).to_contain_text("8 images")
    expect(summary).to_contain_text("6 files are left out")
    expect(summary).to_contain_text("Report.pdf", ignore_case=True)
    page.wait_for_function(DRAWN, timeout=PATIENCE_MS)
    page.click(SEND)
    submission = tracked(page)
    result = outcome(house, submission)
    assert [result[state] for state in ("stored", "refused", "quarantined", "waiting")] == [8, 0, 0, 0]
    with house.api("northside") as api:
        papers = api.get(f"/api/submissions/{submission}/documents")["documents"]
    assert [paper["name"].lower() for paper in papers] == ["report.pdf"]
    assert [disc["missing_count"] for disc in result["discs"]] == [0]
    expect(page.locator("#outcome")).to_contain_text("The disc is complete: all 8 images came.")


def test_a_guest_sends_by_a_link_with_a_pin(house: House, browser: Browser, tmp_path: Path) -> None:
    write_images(tmp_path / "CD", OTHER)
    with house.api("okafor") as api:
        made = api.post("/api/upload-links", {"label": "Dr. Petrov", "patient": "Ødegård, Sigrid"})
    context = browser.new_context()
    page = context.new_page()
    page.goto(made["url"])
    assert "degård" not in page.content()
    page.fill("input[name=pin]", "0" if made["pin"] != "0" else "1")
    page.click("main button.go")
    expect(page.locator(".find.stop")).to_contain_text("This PIN is not right.")
    page.fill("input[name=pin]", made["pin"])
    page.click("main button.go")
    expect(page.locator("input[name=patient]")).to_have_value("Ødegård, Sigrid")
    choose(page, tmp_path / "CD")
    page.click(SEND)
    submission = tracked(page)
    expect(page.locator("#state")).to_contain_text("Your images are being reviewed", timeout=PATIENCE_MS)
    page.click("#state a.btn")
    expect(page.locator("h1")).to_contain_text("CT head")
    study = page.url.rsplit("/", 1)[1]
    page.goto(f"{house.url}/s/{study}")
    assert page.url.endswith(f"/studies/{study}"), "notices about a study lead to it"
    page.goto(made["url"])
    assert page.url.endswith(f"/s/{submission}"), "what was sent can be followed by the same link"
    assert page.goto(f"{house.url}/submissions").status in {200, 403}
    with house.api("okafor") as api:
        assert api.get(f"/api/upload-links/{made['id']}")["state"] == "sent"
        names = {study["patient"]["name"] for study in api.get("/api/studies")["studies"]}
        api.delete(f"/api/upload-links/{made['id']}")
    assert OTHER.name in names
    response = page.goto(f"{house.url}/s/{submission}")
    assert response is not None
    assert "/login" in page.url, "a withdrawn link ends the session opened by it"
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_axe_finds_nothing_on_the_way(
    house: House, browser: Browser, tmp_path: Path, scheme: str, width: int
) -> None:
    source, found = axe_source(), []

    def look(page: Page) -> None:
        page.wait_for_timeout(400)
        found.extend(f"{page.url}: {line}" for line in violations(page, source))
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{page.url} is wider than {width} px")

    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
    context = as_person(browser, house, "northside", **options)
    page = context.new_page()
    page.goto(f"{house.url}/send")
    page.fill("input[name=patient]", "Somebody Else")
    choose(page, write_disc(tmp_path / "CD", [MORGAN, OTHER]))
    page.click(".left-out summary")
    page.fill("#to", "o")
    page.get_by_role("option").first.wait_for()
    look(page)
    page.get_by_role("option").first.click()
    page.locator("#send .study input").nth(1).uncheck()
    page.check(".checks input")
    page.click(SEND)
    tracked(page)
    expect(page.locator("#outcome")).to_contain_text("files in all", timeout=PATIENCE_MS)
    look(page)
    for path in (f"{page.url}/receipt", f"{house.url}/submissions"):
        page.goto(path)
        look(page)
    context.close()

    context = as_person(browser, house, "okafor", **options)
    page = context.new_page()
    page.goto(f"{house.url}/requests")
    page.fill("input[name=label]", "Dr. Petrov")
    page.click("aside button.go")
    look(page)
    link = page.inner_text("#made-link")
    context.close()

    context = as_person(browser, house, "", **options)
    page = context.new_page()
    page.goto(link)
    look(page)
    context.close()
    assert found == []
