"""A file room reviews what came, in a real browser, with a real Orthanc as the PACS behind."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Browser, Page, expect

from anteroom.demo.orthanc import Orthanc
from tests.e2e.browsing import PATIENCE_MS, as_person, watched
from tests.e2e.staging import House, free_port, furnish, slices

pytestmark = pytest.mark.slow
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    made = Orthanc(tmp_path_factory.mktemp("orthanc"), free_port(), free_port())
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def house(house: House, pacs: Orthanc) -> House:
    house.destination("main-pacs", pacs.ae_title, pacs.dicom_port)
    furnish(house, house.folder / "files")
    for family in ("Morgan", "Novak", "Tanaka"):
        house.study(family)
    return house


@pytest.fixture
def clerk(house: House, browser: Browser) -> Iterator[Page]:
    context = as_person(browser, house, "kowalski")
    with watched(context) as page:
        yield page
    context.close()


def test_review_and_approve_until_it_is_in_the_pacs(house: House, clerk: Page, pacs: Orthanc):
    clerk.goto(house.url)
    clerk.get_by_role("link", name="Morgan, Alexandra").click()
    expect(clerk.locator("#look")).to_have_attribute("data-state", "ready")
    expect(clerk.locator("#look-place")).to_contain_text("12 / 24")
    clerk.locator(".look").focus()
    clerk.keyboard.press("ArrowDown")
    expect(clerk.locator("#look-place")).to_contain_text("13 / 24")
    clerk.locator("#look-preset").select_option("-600,1500")
    expect(clerk.locator("#look-window")).to_have_text("W 1500 L -600")
    expect(clerk.locator("#says")).to_contain_text("Morgan-Lee, Alexandra, 4471902")
    expect(clerk.locator("#with")).to_contain_text("A2611-0931")
    clerk.get_by_role("button", name="Approve and forward").click()
    expect(clerk.locator("#decide")).to_contain_text("Being approved")
    clerk.get_by_role("button", name="Undo").click()
    expect(clerk.get_by_role("button", name="Approve and forward")).to_be_visible()
    clerk.get_by_role("button", name="Approve and forward").click()
    expect(clerk.locator("#history")).to_contain_text("in the PACS, proven")
    uid = house.whole("Morgan")["study"]["study_instance_uid"]
    assert pacs.count_instances(uid) == 48
    found = pacs.study(uid)
    assert found is not None
    assert found["PatientMainDicomTags"]["PatientID"] == "4471902"
    assert found["MainDicomTags"]["AccessionNumber"] == "A2611-0931"


def test_a_patient_is_searched_for_and_chosen(house: House, clerk: Page):
    clerk.goto(f"{house.url}/studies/{house.study('Tanaka')['id']}")
    clerk.get_by_label("Search the hospital’s patients").fill("novak")
    clerk.locator(".hits button").click()
    expect(clerk.locator("#says")).to_contain_text("Novak, Jan, 3300551")
    expect(clerk.locator(".searched .diffs")).to_contain_text("differs")


def test_several_are_declined_by_keyboard(house: House, clerk: Page):
    clerk.goto(f"{house.url}/?tab=unmatched")
    clerk.keyboard.press("j")
    expect(clerk.locator(".main-link:focus")).to_have_count(1)
    clerk.keyboard.press("?")
    expect(clerk.locator("#keys")).to_be_visible()
    clerk.keyboard.press("Escape")
    clerk.get_by_role("link", name="Tanaka, Hiroshi").focus()
    clerk.keyboard.press("x")
    clerk.keyboard.press("d")
    clerk.keyboard.press("Enter")
    expect(clerk.locator("#results")).to_contain_text("1 study is declined")
    house.wait(lambda: house.study("Tanaka")["state"] == "declined")


def test_new_studies_appear_by_themselves(house: House, clerk: Page, tmp_path: Path):
    clerk.goto(house.url)
    expect(clerk.locator("#rows")).to_be_visible()
    files = slices(tmp_path, 2, PatientName="Fresh^Fiona", PatientID="FF", StudyDescription="MR knee")
    house.send("northside", files)
    expect(clerk.get_by_role("link", name="Fresh, Fiona")).to_be_visible()


def test_search_by_name_leaves_no_trace_in_the_address(house: House, clerk: Page):
    clerk.goto(f"{house.url}/?tab=all")
    clerk.get_by_placeholder("Name, ID or accession").fill("novak")
    expect(clerk.locator("#rows > tr")).to_have_count(1)
    assert "novak" not in clerk.url


def test_a_study_is_taken_along_as_a_disc(house: House, clerk: Page, tmp_path: Path):
    clerk.goto(f"{house.url}/studies/{house.study('Novak')['id']}")
    with clerk.expect_download() as started:
        clerk.get_by_role("link", name="Download").click()
    with zipfile.ZipFile(io.BytesIO(Path(started.value.path()).read_bytes())) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "disc")
    records = pydicom.dcmread(tmp_path / "disc" / "DICOMDIR").DirectoryRecordSequence
    assert [record.PatientID for record in records if record.DirectoryRecordType == "PATIENT"] == ["3300551"]
    images = [record for record in records if record.DirectoryRecordType == "IMAGE"]
    assert len(images) == 8
    for record in images:
        file = pydicom.dcmread((tmp_path / "disc").joinpath(*record.ReferencedFileID))
        assert file.SOPInstanceUID == record.ReferencedSOPInstanceUIDInFile


def test_documents_lie_beside_and_can_do_nothing(house: House, browser: Browser, clerk: Page, tmp_path: Path):
    files = slices(tmp_path / "images", 1, PatientName="Paper^Paula", PatientID="PP")
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n")
    submission = house.send("northside", [*files, tmp_path / "report.pdf"])
    clerk.goto(f"{house.url}/studies/{house.study('Paper')['id']}")
    shown = clerk.locator("#documents")
    expect(shown).to_contain_text("report.pdf")
    address = shown.get_by_role("link", name="Download").get_attribute("href")
    assert address is not None
    for query, way in (("", "attachment"), ("?show=yes", "inline")):
        answer = clerk.request.get(house.url + address + query)
        assert answer.headers["content-disposition"].startswith(way)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "script-src" not in answer.headers["content-security-policy"]
    other = as_person(browser, house, "seeklinik")
    assert other.request.get(house.url + address).status == 404
    assert other.request.get(f"{house.url}/api/submissions/{submission}/documents").status == 404
    other.close()


def test_a_link_with_a_pin(house: House, browser: Browser, clerk: Page):
    study = house.study("Novak")
    clerk.goto(f"{house.url}/studies/{study['id']}/share")
    clerk.get_by_label("Whom it is for").fill("Dr. Outside")
    clerk.get_by_role("button", name="Make the link").click()
    link, pin = clerk.locator("#link").inner_text(), clerk.locator("#pin").inner_text()
    context = as_person(browser, house, "")
    guest = context.new_page()
    guest.goto(link)
    guest.get_by_label("PIN").fill("000000" if pin != "000000" else "111111")
    guest.get_by_role("button", name="Look at the images").click()
    expect(guest.get_by_role("alert")).to_contain_text("not right")
    guest.get_by_label("PIN").fill(pin)
    guest.get_by_role("button", name="Look at the images").click()
    expect(guest.locator("#look")).to_have_attribute("data-state", "ready")
    expect(guest.get_by_role("link", name="Download")).to_have_count(0)
    other = house.study("Morgan")["id"]
    assert guest.request.get(f"{house.url}/studies/{other}", max_redirects=0).status == 404
    assert guest.request.get(f"{house.url}/dicomweb/study/{other}/archive").status == 404
    assert guest.request.get(f"{house.url}/dicomweb/study/{study['id']}/archive").status == 403
    clerk.goto(f"{house.url}/studies/{study['id']}/share")
    expect(clerk.locator("main")).to_contain_text("opened 1 time")
    clerk.get_by_role("button", name="Revoke").click()
    clerk.locator("#ask").get_by_role("button", name="Revoke").click()
    expect(clerk.locator("main")).to_contain_text("revoked")
    guest.goto(f"{house.url}/studies/{study['id']}")
    expect(guest.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()


def test_each_is_refused_what_is_not_theirs(house: House, browser: Browser):
    morgan, brain = house.study("Morgan")["id"], house.study("Ødegård")["id"]
    for name, path, status in [
        ("seeklinik", f"/studies/{morgan}", 404),
        ("seeklinik", f"/dicomweb/study/{morgan}/archive", 404),
        ("lindqvist", f"/studies/{morgan}", 404),
        ("okafor", f"/studies/{morgan}", 200),
        ("okafor", f"/studies/{brain}", 200),
        ("northside", f"/studies/{morgan}/share", 403),
        ("northside", f"/studies/{morgan}", 200),
        ("kowalski", "/admin", 403),
    ]:
        context = as_person(browser, house, name)
        answer = context.request.get(house.url + path, headers={"accept": "text/html"})
        assert answer.status == status, (name, path, answer.status)
        context.close()
