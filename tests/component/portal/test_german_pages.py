"""What other parts of Anteroom say by a code, read by somebody whose language is German."""

import asyncio
import json
import re

from kit.errors import PermanentError
from kit.identity import Role
from kit.saying import say
from schemas.forward import ForwardFailed, StudyForwarded
from schemas.shapes import DecidedBy, Decision, Proof, Said
from schemas.upload import SubmissionClosed
from services.portal.handlers import forward_failed, study_forwarded
from services.portal.models import AUDIT, CASES, AuditEntry, Verdict
from services.portal.rules.state import refresh, seen, take_verdict
from tests.component.portal.browser import Browser
from tests.component.portal.conftest import House
from tests.unit.portal.samples import LOCAL, NOW, SENDER, case

REFUSED = say(
    "images-refused",
    "%(count)s of %(total)s images were not accepted. %(because)s. "
    "Look at these images and at the destination, then retry.",
    say("status-class", "The destination does not accept this kind of image (status 0122)"),
    count=1200,
    total=2000,
)


async def german_admin(house: House) -> Browser:
    await house.person("root@hospital.example", Role.ADMIN, language="de")
    browser = house.browser()
    await browser.sign_in("root@hospital.example")
    return browser


async def deliver(house: House, said: Said | None) -> None:
    """A study that was approved for two destinations: one has it, the other refused it."""
    made = case()
    assert made.study is not None
    decision = Decision(
        id="d1", study_id="s1", study_revision=1, match_revision=1, action="approve", target=LOCAL,
        destinations=("archive", "pacs"), by=DecidedBy(kind="person", id="a", name="Ada"), time=NOW,
    )  # fmt: skip
    take_verdict(made, Verdict(decision=decision, seen=seen(made.study)))
    refresh(made)
    await house.kit.documents.save(CASES, made)
    about = {
        "key": "s1", "correlation_id": "sub1", "time": NOW, "study_id": "s1", "study_revision": 1,
        "decision_id": "d1", "sender": SENDER, "instances": 2000,
    }  # fmt: skip
    proof = Proof(kind="image-query", time=NOW, instances=2000)
    there = StudyForwarded.first(**about, delivery_id="d1-archive", destination="archive", proof=proof)
    await study_forwarded(house.kit, there)
    reason = said.text if said else "The PACS was rude."
    away = ForwardFailed.first(
        **about, delivery_id="d1-pacs", destination="pacs", sent=800, reason=reason, said=said
    )
    await forward_failed(house.kit, away)


async def test_why_a_delivery_failed(house: House) -> None:
    await deliver(house, REFUSED)
    browser = await german_admin(house)
    await browser.get("/studies/s1")
    why = "1.200 von 2.000 Bildern wurden nicht angenommen. Das Ziel nimmt diese Art von Bild nicht an"
    assert browser.text.count(why) == 3, "beside the decision, under the way, and in the history"
    assert f"pacs: {why}" in browser.text
    assert "archive: 2.000 Bilder." in browser.text
    assert "not accepted" not in browser.text


async def test_what_an_earlier_version_said_of_it_stays_readable(house: House) -> None:
    await deliver(house, None)
    browser = await german_admin(house)
    await browser.get("/studies/s1")
    assert browser.text.count("The PACS was rude.") == 3


async def test_the_audit_trail(house: House) -> None:
    old = AuditEntry(
        id="old", time=NOW, account_id="x", account="Ada", action="changed", kind="group", object_id="g",
        detail="roles,name",
    )  # fmt: skip
    await house.kit.documents.save(AUDIT, old)
    browser = await german_admin(house)
    await browser.get("/admin/destinations-new")
    await browser.post(
        "/admin/destinations-new",
        name="pacs",
        kind="dicom",
        host="pacs.example",
        port="104",
        called_ae="PACS",
    )
    await browser.get("/admin/destinations/pacs")
    await browser.post(
        "/admin/destinations/pacs", kind="dicom", host="pacs.example", port="11112", called_ae="NEW"
    )
    await browser.get("/admin/audit")
    rows = re.findall(r"<tr>.*?</tr>", browser.text, re.S)
    changed = next(row for row in rows if "geändert" in row and "pacs" in row)
    assert "Ziel pacs" in changed
    assert "gerufener AE-Titel" in changed
    assert "Port" in changed
    assert "called_ae" not in changed
    assert any("roles,name" in row for row in rows), "as an earlier version wrote it"


async def test_scripts_of_administration_have_the_words(house: House) -> None:
    browser = await german_admin(house)
    for path in ("/admin", "/admin/queues", "/admin/destinations"):
        await browser.get(path)
        assert browser.page is not None
        found = re.search(r'<script type="application/json" id="texts">(.*?)</script>', browser.page.text)
        assert found, path
        assert json.loads(found[1])["said:answers"] == "Das Ziel antwortet."


async def test_a_link_to_something_that_is_gone_leads_to_a_page(house: House) -> None:
    browser = await german_admin(house)
    await browser.get("/files/none/none", **{"sec-fetch-mode": "navigate"})
    assert browser.status == 404
    assert "Unter dieser Adresse ist nichts" in browser.text or "Hier ist nichts" in browser.text
    await browser.get("/files/none/none", **{"sec-fetch-mode": "cors"})
    assert browser.page is not None
    assert browser.page.json()["code"] == "http"


async def test_why_an_event_failed_is_told_with_names_for_people(house: House) -> None:
    reasons = {
        "s1": PermanentError(say("pack-damaged", "the index of a pack is damaged")),
        "s2": PermanentError("words of a library"),
    }

    async def fail(event: SubmissionClosed) -> None:
        raise reasons[event.submission_id]

    house.kit.bus.subscribe(SubmissionClosed, "validate", fail)
    await house.kit.bus.start()
    await house.kit.bus.publish(
        [
            SubmissionClosed.first(
                time=NOW, key=name, correlation_id=name, submission_id=name, sender=SENDER, files=1, batches=1
            )
            for name in reasons
        ]
    )
    while len(await house.kit.bus.dead_letters()) < 2:
        await asyncio.sleep(0.02)
    browser = await german_admin(house)
    await browser.get("/admin/queues")
    rows = re.findall(r"<tr>.*?</tr>", browser.text, re.S)
    coded = next(row for row in rows if "Das Verzeichnis gespeicherter Bilder ist beschädigt" in row)
    plain = next(row for row in rows if "words of a library" in row)
    assert ("lang=" in coded, 'lang="en"' in plain) == (False, True)
    for word in ("Eine Sendung ist vollständig", "Dateien prüfen", "submission-closed", "validate"):
        assert word in coded
    await house.kit.bus.stop()
