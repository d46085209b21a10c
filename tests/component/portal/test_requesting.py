"""One-time upload links as staff makes and a guest opens them; what a guest may do; tracking."""

from typing import Any

import pytest

from kit.identity import Role
from kit.sessions import GRANTS
from schemas.shapes import Person, Sender, Tally
from schemas.upload import SubmissionClosed, SubmissionOpened
from schemas.validate import SubmissionValidated
from services.portal.tracking import handlers as tracks
from tests.component.portal.browser import Browser
from tests.component.portal.conftest import House

DOCTOR = "okafor@hospital.example"


async def doctor(house: House) -> Browser:
    await house.person(DOCTOR, Role.VIEW, departments=["Thoracic surgery"])
    browser = house.browser()
    await browser.sign_in(DOCTOR)
    return browser


async def asked(browser: Browser, **fields: str) -> tuple[str, str]:
    """The path of a new link, and its PIN."""
    await browser.get("/requests")
    content = {"label": "Dr. Petrov", "email": "petrov@practice.example", "days": "7", "pin": "1"}
    await browser.post("/requests", **{**content, **fields})
    assert browser.status == 200, browser.text
    page = browser.text
    path = page.split('id="made-link">')[1].split("<")[0].removeprefix("http://here")
    return path, page.split('id="made-pin">')[1].split("<")[0] if 'id="made-pin">' in page else ""


async def test_the_mail_carries_the_link_and_neither_pin_nor_patient(house: House) -> None:
    path, pin = await asked(await doctor(house), patient="Morgan, Alexandra")
    [(mail, sealed)] = await house.mails()
    assert (mail.kind, sealed, mail.to.email) == ("upload-link", path, "petrov@practice.example")
    said = mail.model_dump_json()
    assert path not in said
    assert pin not in said
    assert "Morgan" not in said


async def test_a_pin_opens_the_page_and_only_then_the_patient_is_named(house: House) -> None:
    path, pin = await asked(await doctor(house), patient="Morgan, Alexandra", note="Please the CT")
    guest = house.browser("10.9.9.9")
    await guest.get(path)
    assert "Morgan" not in guest.text
    await guest.post(path, pin="1")
    assert guest.status == 403
    assert "This PIN is not right" in guest.text
    await guest.post(path, pin=pin)
    assert (guest.status, guest.path) == (200, path)
    assert "Morgan, Alexandra" in guest.text
    assert "Please the CT" in guest.text
    assert {"asked-for-images", "wrong-pin", "opened-link"} <= set(await house.actions())


async def test_wrong_pins_lock_the_link_for_longer_and_longer(house: House) -> None:
    path, pin = await asked(await doctor(house))
    guest = house.browser("10.9.9.9")
    await guest.get(path)
    seen = []
    for _ in range(8):
        await guest.post(path, pin="1")
        seen.append(guest.status)
    assert seen[-1] == 429
    await guest.post(path, pin=pin)
    assert guest.status == 429
    house.clock.go(minutes=5)
    await guest.get(path)
    await guest.post(path, pin=pin)
    assert guest.status == 200


@pytest.mark.parametrize("end", ["revoked", "expired"])
async def test_a_link_that_is_over_ends_what_was_opened_by_it(house: House, end: str) -> None:
    staff = await doctor(house)
    path, pin = await asked(staff)
    guest = house.browser("10.9.9.9")
    await guest.get(path)
    await guest.post(path, pin=pin)
    assert guest.status == 200
    if end == "revoked":
        await staff.get("/requests")
        grant = (await house.kit.documents.find(GRANTS)).items[0]
        await staff.post(f"/requests/{grant.id}/revoke")
        assert "Withdrawn" in staff.text
    else:
        house.clock.go(days=8)
    await guest.get(path)
    assert guest.status == 404
    assert (await guest.http.get("/api/whoami")).status_code == 401


async def test_a_guest_sees_no_other_page(house: House) -> None:
    path, pin = await asked(await doctor(house))
    guest = house.browser("10.9.9.9")
    await guest.get(path)
    await guest.post(path, pin=pin)
    for page, status in {"/send": 403, "/requests": 403, "/admin": 403}.items():
        assert (await guest.http.get(page)).status_code == status, page
    origin = {"origin": "http://here", "sec-fetch-site": "same-origin"}
    asked_for = await guest.http.post("/api/directory/search", json={"q": "tho"}, headers=origin)
    assert asked_for.status_code == 403


async def test_one_doctor_does_not_see_or_withdraw_the_links_of_another(house: House) -> None:
    await asked(await doctor(house))
    await house.person("lindqvist@hospital.example", Role.VIEW)
    other = house.browser()
    await other.sign_in("lindqvist@hospital.example")
    await other.get("/requests")
    assert "Dr. Petrov" not in other.text
    grant = (await house.kit.documents.find(GRANTS)).items[0]
    await other.post(f"/requests/{grant.id}/revoke")
    assert other.status == 404


async def test_the_directory_names_people_and_departments_without_addresses(house: House) -> None:
    await doctor(house)
    await house.person("clinic@north.example", Role.SEND)
    clinic = house.browser()
    await clinic.sign_in("clinic@north.example")
    origin = {"origin": "http://here", "sec-fetch-site": "same-origin"}
    answer = await clinic.http.post("/api/directory/search", json={"q": "tho"}, headers=origin)
    assert "@" not in answer.text
    people: list[dict[str, Any]] = answer.json()["people"]
    assert [(one["name"], bool(one["account_id"]), one["department"]) for one in people] == [
        ("Thoracic surgery", False, "Thoracic surgery"),
        ("okafor", True, ""),
    ]


async def test_only_who_it_concerns_follows_a_submission(house: House) -> None:
    clinic = await house.person("clinic@north.example", Role.SEND)
    await house.person("other@north.example", Role.SEND)
    reader = await doctor(house)
    sender = Sender(id=clinic.id, name="Clinic", origin="north", door="portal")
    now = house.clock()
    about = {"time": now, "key": "sub1", "correlation_id": "sub1", "submission_id": "sub1", "sender": sender}
    to = Person(name="okafor", department="thoracic  SURGERY")
    opened = SubmissionOpened.first(**about, step="1", recipients=(to,), declared_files=3)
    closed = SubmissionClosed.first(**about, step="2", files=3, batches=1)
    tally = Tally(sent=3, document=2, quarantined=1)
    checked = SubmissionValidated.first(**about, step="3", revision=1, tally=tally)
    await tracks.submission_validated(house.kit, checked)
    await tracks.submission_closed(house.kit, closed)
    await tracks.submission_opened(house.kit, opened)
    await tracks.submission_opened(house.kit, opened)

    own = house.browser()
    await own.sign_in("clinic@north.example")
    await own.get("/s/sub1")
    assert "Your documents have arrived" in own.text
    assert "Some files were put aside." in own.text
    mark = own.text.split('data-mark="')[1].split('"')[0]
    assert (await own.http.get(f"/s/sub1/state?mark={mark}")).status_code == 204
    await own.get("/s/sub1/receipt")
    assert "3 of 3 announced" in own.text
    await own.get("/submissions")
    assert "/s/sub1" in own.text
    await reader.get("/s/sub1")
    assert reader.status == 200

    stranger = house.browser()
    await stranger.sign_in("other@north.example")
    for page in ("/s/sub1", "/s/sub1/state", "/s/sub1/receipt", "/s/nothing"):
        await stranger.get(page)
        assert stranger.status == 404, page
    assert (await stranger.http.get("/s/sub1/studies")).json() == []
    await stranger.get("/submissions")
    assert "sub1" not in stranger.text
