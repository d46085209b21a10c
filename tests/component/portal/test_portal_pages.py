"""Inbox, study page, decisions and sharing as a browser asks for them, on real embedded adapters."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from html import unescape
from typing import Any

import httpx
import pytest

from kit.access import AUDIENCES
from kit.destinations import DESTINATIONS, Destination
from kit.identity import ACCOUNTS, Account, Role, token_id
from kit.service import Kit
from kit.sessions import COOKIE, GRANTS, SESSIONS, Session
from kit.web import build_app
from schemas.match import StudyMatched, StudyUnmatched
from schemas.shapes import Demographics, Finding, Person, Study
from schemas.upload import SubmissionOpened
from schemas.validate import StudyArrived, StudyUpdated
from schemas.view import StudyViewed
from services.portal.app import build
from services.portal.models import AUDIT, CASES, HELD
from services.portal.settings import PortalSettings
from tests.conftest import settle
from tests.unit.portal.samples import NOW, SENDER, match, study

Client = httpx.AsyncClient
Browser = Callable[..., Awaitable[Client]]
HTMX = {"hx-request": "true"}


@pytest.fixture
async def browser(kit_env: Kit, request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    """browser("name", Role.APPROVE): a signed-in browser; browser(""): nobody's."""
    service = build(kit_env, PortalSettings(undo_seconds=getattr(request, "param", 0.3)))
    await kit_env.documents.save(
        DESTINATIONS, Destination(id="pacs", host="127.0.0.1", port=104, called_ae="PACS")
    )
    for start in service.start:
        await start()
    await kit_env.bus.start()
    transport = httpx.ASGITransport(app=build_app(kit_env, [service]))
    opened: list[Client] = []

    async def make(name: str, *roles: Role, departments: tuple[str, ...] = ()) -> Client:
        client = Client(
            transport=transport,
            base_url="http://here",
            headers={"accept": "text/html", "sec-fetch-site": "same-origin"},
        )
        opened.append(client)
        if name:
            secret = f"session-secret-of-{name}-0123456789"
            now = kit_env.clock()
            account = Account(id=name, name=name.title(), roles=list(roles), departments=list(departments))
            await kit_env.documents.save(ACCOUNTS, account)
            session = Session(
                id=token_id(secret),
                account_id=name,
                created_at=now,
                seen_at=now,
                expires_at=now + timedelta(hours=1),
            )
            await kit_env.documents.save(SESSIONS, session)
            client.cookies.set(COOKIE, secret)
        return client

    yield make
    for client in opened:
        await client.aclose()
    for stop in service.stop:
        await stop()


async def arrive(
    kit: Kit, *studies: Study, certain: bool = True, recipients: tuple[Person, ...] = (), **said: Any
) -> None:
    for item in studies:
        opened = SubmissionOpened.first(
            time=NOW,
            key="sub1",
            correlation_id="sub1",
            step=item.id,
            submission_id=item.submissions[0],
            sender=SENDER,
            recipients=recipients,
            **said,
        )
        arrived = StudyArrived.first(time=NOW, key=item.id, correlation_id="sub1", study=item)
        kind = StudyMatched if certain else StudyUnmatched
        matched = kind.first(
            time=NOW, key=item.id, correlation_id="sub1", match=match(study_id=item.id, certain=certain)
        )
        await kit.bus.publish([opened, arrived, matched])
    await settle(kit)


async def post(
    client: Client, page: str, path: str, headers: dict[str, str] | None = None, **fields: object
) -> httpx.Response:
    """As the form of that page sends it."""
    shown = await client.get(page)
    token = re.search(r'name="csrf" content="([^"]+)"', shown.text)
    assert token, shown.text[:500]
    return await client.post(path, data={"csrf": token[1], **fields}, headers=headers or {})


async def case_state(kit: Kit, wanted: str) -> None:
    async with asyncio.timeout(20):
        while True:
            case = await kit.documents.get(CASES, "s1")
            if case is not None and case.state == wanted:
                return
            await asyncio.sleep(0.02)


APPROVE = {
    "action": "approve",
    "study_revision": "1",
    "match_revision": "1",
    "target": "candidate:p1",
    "destination": "pacs",
}


async def test_the_inbox_finds_and_narrows(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    await arrive(kit_env, study(modalities=("CT",)))
    await arrive(
        kit_env,
        study(id="s2", submissions=("sub2",), patient=Demographics(name="Zed^Anna", patient_id="9")),
        certain=False,
    )
    page = (await clerk.get("/")).text
    assert "Müller, Jörg" in page
    assert "Ready to approve" in page
    assert "2 possible patients" in page
    assert (await clerk.get("/?tab=unmatched")).text.count('id="row-') == 1
    assert (await clerk.get("/?modality=CT")).text.count('id="row-') == 1
    assert (await clerk.get("/?age=overdue")).text.count('id="row-') == 2
    assert (await clerk.get("/?age=day")).text.count('id="row-') == 0
    found = await post(clerk, "/", "/", HTMX, q="zed")
    assert found.text.count('id="row-') == 1
    assert "zed" not in found.headers["hx-push-url"].casefold()
    assert "Nothing found" in (await post(clerk, "/", "/", HTMX, q="nobody")).text
    assert (await clerk.get("/?tab=nonsense&age=x")).status_code == 200


async def test_saved_views(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    saved = await post(clerk, "/", "/inbox/views", name="<b>mine", query="tab=review&modality=CT&q=secret")
    assert saved.headers["location"] == "/?tab=review&modality=CT"
    page = (await clerk.get("/")).text
    assert "&lt;b&gt;mine" in page
    await post(clerk, "/", "/inbox/views/remove", name="<b>mine")
    assert "&lt;b&gt;mine" not in (await clerk.get("/")).text


async def test_a_decision_waits_to_be_undone_and_is_then_made(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    await arrive(kit_env, study())
    held = await post(clerk, "/studies/s1", "/studies/s1/decision", HTMX, **APPROVE)
    assert "Being approved" in held.text
    undone = await post(clerk, "/studies/s1", "/studies/s1/undo", HTMX)
    assert "Approve and forward" in undone.text
    assert await kit_env.documents.get(HELD, "s1") is None
    assert (await kit_env.bus.read(topics=["study-decided"])) == []
    await post(clerk, "/studies/s1", "/studies/s1/decision", **APPROVE)
    await case_state(kit_env, "approved")
    await settle(kit_env)
    assert len(await kit_env.bus.read(topics=["study-decided"])) == 1
    late = await post(clerk, "/studies/s1", "/studies/s1/undo", HTMX)
    assert "carried out already" in late.text
    assert "Approve again" in (await clerk.get("/studies/s1")).text


async def test_a_view_that_is_old_is_refused_kindly(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    await arrive(kit_env, study())
    await kit_env.bus.publish(
        [StudyUpdated.first(time=NOW, key="s1", correlation_id="sub1", study=study(2, 12))]
    )
    await settle(kit_env)
    stale = await post(clerk, "/studies/s1", "/studies/s1/decision", **APPROVE)
    assert stale.status_code == 409
    assert "Look at the study again" in stale.text
    assert await kit_env.documents.get(HELD, "s1") is None


@pytest.mark.parametrize("browser", [4.0], indirect=True)
async def test_what_changes_while_a_decision_is_held_leaves_it_undecided(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    await arrive(kit_env, study())
    await post(clerk, "/studies/s1", "/studies/s1/decision", HTMX, **APPROVE)
    await kit_env.bus.publish(
        [StudyUpdated.first(time=NOW, key="s1", correlation_id="sub1", study=study(2, 12))]
    )
    await settle(kit_env)
    async with asyncio.timeout(20):
        while not (found := await kit_env.documents.get(HELD, "s1")) or not found.error:
            await asyncio.sleep(0.02)
    assert "This was not carried out" in (await clerk.get("/studies/s1")).text


async def test_several_are_decided_each_by_itself(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    await arrive(kit_env, study())
    await arrive(kit_env, study(id="s2", submissions=("sub2",)), certain=False)
    answer = await post(
        clerk, "/", "/inbox/bulk", HTMX, action="approve", study=["s1:1:1", "s2:1:1", "nope:1:1"]
    )
    text = unescape(answer.text)
    assert "1 study is approved" in text
    assert "no certain match" in text
    assert "no such study" in text.casefold()
    await case_state(kit_env, "approved")


async def test_declining_and_asking_need_what_they_need(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    await arrive(kit_env, study())
    fields = {"study_revision": "1", "match_revision": "1"}
    asked = await post(clerk, "/studies/s1", "/studies/s1/decision", action="ask-sender", **fields)
    assert asked.status_code == 400
    assert "give a reason" in asked.text
    broken = await post(clerk, "/studies/s1", "/studies/s1/decision", action="destroy", **fields)
    assert broken.status_code == 400
    await post(
        clerk, "/studies/s1", "/studies/s1/decision", action="decline", reason="wrong <hospital>", **fields
    )
    await case_state(kit_env, "declined")
    assert "wrong &lt;hospital&gt;" in (await clerk.get("/studies/s1")).text


EVIL = '"><script>alert(1)</script>'


async def test_nothing_from_outside_becomes_markup(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    patient = Demographics(name=f"{EVIL}^x", patient_id=EVIL, birth_date=EVIL, sex=EVIL, issuer=EVIL)
    finding = Finding(code="x", severity="error", action="kept", text=EVIL)
    evil = study(
        patient=patient,
        other_patients=(patient,),
        description=EVIL,
        accession_number=EVIL,
        referring_physician=EVIL,
        study_date=EVIL,
        modalities=(EVIL,),
        findings=(finding,),
        sender=SENDER.model_copy(update={"name": EVIL}),
        study_id=EVIL,
    )
    await arrive(kit_env, evil, recipients=(Person(name=EVIL, department=EVIL),), note=EVIL, purpose=EVIL)
    await post(clerk, "/studies/s1", "/studies/s1/comments", text=EVIL)
    await post(clerk, "/studies/s1/share", "/studies/s1/share", label=EVIL, protection="pin", days="3")
    pages = {
        path: (await clerk.get(path, headers=HTMX if "parts" in path else {})).text
        for path in ("/", "/studies/s1", "/studies/s1/share", "/studies/s1/parts")
    }
    pages["now"] = (await post(clerk, "/", "/inbox/now", HTMX, shown="s1:0")).text
    assert 'id="row-s1"' in pages["now"]
    for path, page in pages.items():
        assert "<script>alert" not in page, path
        assert "onerror=" not in page


async def test_senders_and_physicians_see_what_is_theirs(browser: Browser, kit_env: Kit):
    await arrive(kit_env, study(), recipients=(Person(name="Dr. O", account_id="doctor"),))
    sender = await browser("clinic", Role.SEND)
    page = (await sender.get("/studies/s1")).text
    for secret in ("4711", "Mueller", "Who is this here", "Approve and forward", "Share"):
        assert secret not in page
    assert 'id="row-s1"' in (await sender.get("/")).text
    doctor = await browser("doctor", Role.VIEW)
    page = (await doctor.get("/studies/s1")).text
    assert "4711" in page
    assert "Approve and forward" not in page
    assert (await post(doctor, "/studies/s1", "/studies/s1/decision", **APPROVE)).status_code in (403, 400)
    stranger = await browser("stranger", Role.VIEW)
    assert (await stranger.get("/studies/s1")).status_code == 404
    assert 'id="row-' not in (await stranger.get("/")).text
    nobody = await browser("")
    assert (await nobody.get("/studies/s1")).headers["location"].startswith("/login")
    assert (await nobody.get("/live")).status_code in (303, 401)


async def test_comments_reach_whom_they_are_for(browser: Browser, kit_env: Kit):
    await arrive(kit_env, study())
    clerk, sender = await browser("clerk", Role.APPROVE), await browser("clinic", Role.SEND)
    await post(clerk, "/studies/s1", "/studies/s1/comments", text="for us alone")
    await post(clerk, "/studies/s1", "/studies/s1/comments", text="for both", for_sender="yes")
    await post(sender, "/studies/s1", "/studies/s1/comments", text="from the clinic")
    theirs, ours = (await sender.get("/studies/s1")).text, (await clerk.get("/studies/s1")).text
    assert "for us alone" not in theirs
    assert "for both" in theirs
    assert "from the clinic" in ours


async def test_why_it_was_sent_is_read_by_those_who_look(browser: Browser, kit_env: Kit):
    said = {"purpose": "Second opinion", "urgency": "urgent", "note": "Is the lesion new?"}
    await arrive(kit_env, study(), recipients=(Person(name="Dr. O", account_id="doctor"),), **said)
    clerk, doctor = await browser("clerk", Role.APPROVE), await browser("doctor", Role.VIEW)
    for reader in (clerk, doctor, await browser("clinic", Role.SEND)):
        page = (await reader.get("/studies/s1")).text
        assert all(words in page for words in ("Second opinion", "Urgent: today", "Is the lesion new?"))
    assert "Urgent" in (await clerk.get("/")).text
    path, pin = await shared(clerk)
    outside = await browser("")
    await post(outside, path, path, pin=pin)
    page = (await outside.get("/studies/s1")).text
    assert "Patient, as sent" in page
    assert "Is the lesion new?" not in page


async def shared(clerk: Client, **fields: str) -> tuple[str, str]:
    """Path and PIN of a new link."""
    given = {"label": "Dr. Outside", "protection": "pin", "days": "3", **fields}
    page = (await post(clerk, "/studies/s1/share", "/studies/s1/share", **given)).text
    link = re.search(r'id="link">[^<]*(/share/[^<]+)<', page)
    pin = re.search(r'id="pin"[^>]*>(\d+)<', page)
    assert link, page
    return link[1], pin[1] if pin else ""


async def test_a_link_with_a_pin_opens_one_study_and_no_more(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    await arrive(kit_env, study())
    await arrive(kit_env, study(id="s2", submissions=("sub2",)))
    path, pin = await shared(clerk)
    guest = await browser("")
    assert "Images for you" in (await guest.get(path)).text
    assert (await guest.get("/studies/s1")).status_code == 303
    wrong = await post(guest, path, path, pin="000000" if pin != "000000" else "111111")
    assert wrong.status_code == 403
    entered = await post(guest, path, path, pin=pin)
    assert entered.headers["location"] == "/studies/s1"
    page = (await guest.get("/studies/s1")).text
    assert "Müller, Jörg" in page
    for secret in ("4711", "Mueller", "Download", "Share", "Comments"):
        assert secret not in page
    assert (await guest.get("/studies/s2")).status_code == 404
    assert (await guest.get("/studies/s1/download")).status_code == 403
    assert (await guest.get("/admin")).status_code in (403, 404)
    assert (await guest.get(path)).headers["location"] == "/studies/s1"
    trail = await kit_env.documents.find(AUDIT, {"object_id": "s1"}, limit=50)
    assert {"share", "saw"} <= {entry.action for entry in trail.items}
    assert "Dr. Outside" in {entry.account for entry in trail.items if entry.action == "saw"}
    listed = (await clerk.get("/studies/s1/share")).text
    assert "opened 1 time" in listed
    grant = (await kit_env.documents.find(GRANTS, {"kind": "share"})).items[0]
    await post(clerk, "/studies/s1/share", "/studies/s1/share/revoke", share=grant.id)
    assert (await guest.get("/studies/s1")).status_code == 303
    assert (await guest.get(path)).status_code == 404


async def test_wrong_pins_lock_the_link(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    await arrive(kit_env, study())
    path, pin = await shared(clerk)
    guest = await browser("")
    wrong = "123456" if pin != "123456" else "654321"
    for _ in range(5):
        await post(guest, path, path, pin=wrong)
    locked = await post(guest, path, path, pin=pin)
    assert locked.status_code == 429


async def test_uses_and_codes(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    await arrive(kit_env, study())
    once, _ = await shared(clerk, protection="none", max_uses="1", download="yes")
    guest, other = await browser(""), await browser("")
    assert (await post(guest, once, once)).status_code == 303
    assert (await guest.get("/studies/s1/download")).headers["location"] == "/dicomweb/study/s1/archive"
    assert (await other.get(once)).status_code == 404
    nowhere = await post(
        clerk, "/studies/s1/share", "/studies/s1/share", label="x", protection="code", days="3"
    )
    assert nowhere.status_code == 400
    coded, _ = await shared(clerk, protection="code", contact="dr@outside.example")
    assert "Send me the code" in (await other.get(coded)).text
    assert "on its way" in (await post(other, coded, f"{coded}/code")).text
    events = await kit_env.bus.read(topics=["account-mail-requested"])
    assert [event.kind for _, event in events] == ["share", "share-code"]  # type: ignore[attr-defined]
    assert all("/share/" not in event.model_dump_json() for _, event in events)
    assert (await post(other, coded, coded, pin="000000")).status_code == 403


async def test_colleagues(browser: Browser, kit_env: Kit):
    clerk, doctor = (
        await browser("clerk", Role.APPROVE),
        await browser("doctor", Role.VIEW, departments=("Surgery",)),
    )
    await arrive(kit_env, study())
    assert (await doctor.get("/studies/s1")).status_code == 404
    await post(clerk, "/studies/s1/share", "/studies/s1/share/colleague", colleague="department:Surgery")
    assert (await doctor.get("/studies/s1")).status_code == 200
    audience = await kit_env.documents.get(AUDIENCES, "s1")
    assert audience is not None
    assert [person.department for person in audience.shared] == ["Surgery"]
    refused = await browser("clinic", Role.SEND)
    assert (await refused.get("/studies/s1/share")).status_code == 403


async def test_forms_need_their_token(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    await arrive(kit_env, study())
    for path in (
        "/studies/s1/decision",
        "/studies/s1/undo",
        "/studies/s1/comments",
        "/studies/s1/share",
        "/inbox/bulk",
        "/inbox/views",
        "/",
        "/studies/s1/share/revoke",
    ):
        assert (await clerk.post(path, data=APPROVE)).status_code == 403, path
        crossed = await clerk.post(path, data=APPROVE, headers={"sec-fetch-site": "cross-site"})
        assert crossed.status_code == 403, path


async def test_what_was_opened_is_marked_when_it_reached_whom_it_is_for(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    await browser("doctor", Role.VIEW)
    await arrive(kit_env, study(), recipients=(Person(name="Dr. O", account_id="doctor"),))

    async def look(name: str) -> str:
        event = StudyViewed.first(
            time=NOW, key="s1", correlation_id=name, step=name, study_id="s1", account_id=name, account=name
        )
        await kit_env.bus.publish([event])
        await settle(kit_env)
        return (await clerk.get("/studies/s1")).text

    assert "opened by the recipient" not in await look("clerk")
    page = await look("doctor")
    assert "opened by the recipient" in page
    assert "Seen by 2 people" in page or "Seen by 3 people" in page
