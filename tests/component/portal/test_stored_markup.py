"""Whatever came from outside or was typed is text on every page: nothing of it becomes markup, nothing runs.

All GET routes of the portal are asked, each as everybody, with markup in every field that somebody else can
fill: names, DICOM values, HL7 values, file names, comments, reasons. A new page has to be named here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from kit.destinations import DESTINATIONS, Destination
from kit.errors import PermanentError
from kit.identity import ACCOUNTS, GROUPS, TOKENS, Account, Group, Role, Token, token_id
from kit.sessions import COOKIE, GRANTS, SESSIONS, Grant, Session
from schemas.forward import ForwardFailed
from schemas.match import StudyUnmatched
from schemas.shapes import (
    Candidate,
    Demographics,
    Finding,
    Order,
    Person,
    SeriesSummary,
    Tally,
)
from schemas.upload import SubmissionClosed, SubmissionOpened
from schemas.validate import StudyArrived, SubmissionValidated
from services.portal.models import (
    AUDIT,
    COMMENTS,
    HELD,
    SAVED_VIEWS,
    AuditEntry,
    Comment,
    Held,
    SavedView,
    SavedViews,
)
from services.portal.people.models import LINKS, REGISTRATIONS, Link, Registration, person_id
from services.portal.retention_models import EXPIRIES, Expiry
from tests.component.portal.browser import Browser
from tests.component.portal.conftest import House
from tests.conftest import settle
from tests.unit.portal.samples import NOW, SENDER, match, study

MARK = "zq(2)"
EVIL = f"\"'><zq onclick=zq(1)></textarea></title></script><script>{MARK}</script>"
SHARE, LINK, WELCOME = ("share" * 8, "upload-link" * 4, "welcome" * 6)
PLACES = {
    "study_id": "s1",
    "submission_id": "sub1",
    "account": "x1",
    "group_id": "g1",
    "name": "pacs",
    "link_id": token_id(LINK),
}
SECRETS = {"/share/{secret}": SHARE, "/u/{secret}": LINK, "/welcome/{secret}": WELCOME}


def _paths(text: str) -> frozenset[str]:
    return frozenset(text.split())


SAYS = _paths(
    """
    / /account /admin/accounts /admin/accounts/invite /admin/accounts/machine /admin/accounts/{account}
    /admin/audit /admin/destinations /admin/destinations/{name} /admin/groups /admin/groups/{group_id}
    /admin/policies /admin/queues /admin/requests /admin/storage /requests /share/{secret}
    /studies/{study_id} /studies/{study_id}/parts /studies/{study_id}/share /submissions
    /s/{submission_id} /s/{submission_id}/receipt /s/{submission_id}/state /u/{secret}
    """
)
"""Pages that show something of what others filled in."""
PLAIN = _paths(
    """
    /account/protect /admin /admin/destinations-new /admin/feed /admin/groups/new /send
    /login /login/code /login/protect /login/ready /register /reset /welcome/{secret}
    """
)
"""Pages that show no more than who looks at them, or lead to others."""
OTHER = _paths(
    """
    /admin/audit.csv /studies/{study_id}/download /static/{version}/{path:path} /favicon.ico
    /here /live /s/{submission_id}/live /s/{submission_id}/studies
    /healthz /readyz /api/openapi.json /metrics
    """
)
"""No pages: files, streams of ids, answers for programs."""
STREAMS = {"/live", "/s/{submission_id}/live"}


class Markup(HTMLParser):
    """Gathers what no template of ours writes."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "zq" or any(name.startswith("on") or "zq" in name for name in given):
            self.wrong.append(f"<{tag} {given}>")
        if tag == "script" and "src" not in given and given.get("type") != "application/json":
            self.wrong.append("an inline script")
        for name in ("href", "src", "action", "formaction"):
            if (given.get(name) or "").strip().lower().startswith(("javascript:", "data:")):
                self.wrong.append(f"{name}={given[name]}")


def wrong_in(page: str) -> list[str]:
    reader = Markup()
    reader.feed(page)
    reader.close()
    return reader.wrong


@dataclass
class Filled:
    house: House
    people: dict[str, Browser]

    def routes(self) -> Iterator[str]:
        for context in iter_route_contexts(self.house.app.routes):
            if "GET" in (context.methods or set()):
                yield context.path


@pytest.fixture
async def filled(house: House) -> Filled:
    documents, now = house.kit.documents, house.clock()
    await _letters(house)
    await house.kit.bus.start()
    await _studies(house)
    for account in (
        Account(
            id="x1", name=EVIL, email=f"{EVIL}@x", origin="\"><zq onclick=zq(1)>",
            departments=[EVIL], groups=["g1"], roles=[Role.SEND, Role.VIEW],
            ae_titles=[EVIL], addresses=[EVIL], certificates=[EVIL], destinations=[EVIL], phone=EVIL,
        ),
        Account(id="clinic", name=EVIL, roles=[Role.SEND]),
        Account(id="doctor", name=EVIL, roles=[Role.VIEW], departments=[EVIL]),
    ):  # fmt: skip
        await documents.save(ACCOUNTS, account)
    await documents.save(GROUPS, Group(id="g1", name=EVIL, departments=[EVIL], destinations=[EVIL]))
    await documents.save(TOKENS, Token(id=token_id("t"), account_id="x1", label=EVIL, created_at=now))
    await documents.save(
        DESTINATIONS, Destination(id="pacs", host=EVIL, called_ae=EVIL, calling_ae=EVIL, url=EVIL, port=1)
    )
    await documents.save(
        REGISTRATIONS,
        Registration(
            id="r1", name=EVIL, email=EVIL, organisation=EVIL, phone=EVIL, message=EVIL, created_at=now
        ),
    )
    entry = AuditEntry(
        id="e1", time=now, account_id=EVIL, account=EVIL, action=EVIL, kind=EVIL, object_id=EVIL, detail=EVIL
    )
    await documents.insert_many(AUDIT, [entry])
    await documents.save(
        LINKS,
        Link(id=token_id(WELCOME), kind="welcome", created_at=now, expires_at=now + timedelta(days=1)),
    )
    await _links(house)
    return Filled(house, await _people(house))


async def _letters(house: House) -> None:
    """A dead letter whose reason was written elsewhere."""

    async def fail(event: SubmissionClosed) -> None:
        raise PermanentError(EVIL)

    house.kit.bus.subscribe(SubmissionClosed, "fails", fail)


async def _studies(house: House) -> None:
    """Four studies: one waits with candidates, the others are with retention in each of its states."""
    patient = Demographics(name=f"{EVIL}^x", patient_id=EVIL, birth_date=EVIL, sex=EVIL, issuer=EVIL)
    finding = Finding(code="x", severity="error", action="kept", text=EVIL, values={"n": 1})
    sender = SENDER.model_copy(update={"name": EVIL})
    about: dict[str, Any] = {
        "patient": patient,
        "other_patients": (patient,),
        "description": EVIL,
        "accession_number": EVIL,
        "referring_physician": EVIL,
        "study_date": EVIL,
        "modalities": (EVIL,),
        "findings": (finding,),
        "sender": sender,
        "study_id": EVIL,
        "series": (
            SeriesSummary(
                series_instance_uid="1.2.9", modality=EVIL, number=EVIL, description=EVIL, instances=1
            ),
        ),
    }
    order = Order(
        accession_number=EVIL, requested_procedure_description=EVIL, modality=EVIL,
        placer_order_number=EVIL, filler_order_number=EVIL,
    )  # fmt: skip
    candidates = tuple(
        Candidate(patient_key=f"p{n}", patient=patient, order_key=f"o{n}", order=order, score=0.9)
        for n in range(2)
    )
    everybody = (Person(name=EVIL, account_id="doctor"), Person(name="", department=EVIL))
    events: list[Any] = [
        SubmissionOpened.first(
            time=NOW, key="sub1", correlation_id="sub1", submission_id="sub1", sender=sender,
            recipients=everybody, purpose=EVIL,
        ),
        SubmissionClosed.first(
            time=NOW, key="sub1", correlation_id="sub1", submission_id="sub1", sender=sender, files=2,
            batches=1, reason=EVIL,
        ),
    ]  # fmt: skip
    for n in range(1, 5):
        events += [
            StudyArrived.first(
                time=NOW, key=f"s{n}", correlation_id="sub1", study=study(id=f"s{n}", **about)
            ),
            StudyUnmatched.first(
                time=NOW, key=f"s{n}", correlation_id="sub1",
                match=match(study_id=f"s{n}", certain=False, candidates=candidates),
            ),
        ]  # fmt: skip
    events.append(
        SubmissionValidated.first(
            time=NOW, key="sub1", correlation_id="sub1", submission_id="sub1", revision=1, sender=sender,
            tally=Tally(sent=2, stored=1, refused=1), findings=(finding,), studies=("s1",),
        )
    )  # fmt: skip
    events.append(
        ForwardFailed.first(
            time=NOW, key="s2", correlation_id="sub1", study_id="s2", study_revision=1,
            delivery_id="d", decision_id="d1", destination=EVIL, reason=EVIL,
            sent=0, instances=1, sender=sender, submissions=("sub1",),
        )
    )  # fmt: skip
    await house.kit.bus.publish(events)
    await settle(house.kit)
    documents, now = house.kit.documents, house.clock()
    await documents.save(
        COMMENTS,
        Comment(id="c1", study_id="s1", account_id="x1", account=EVIL, time=now, text=EVIL, for_sender=True),
    )
    held = '{"action":"decline","study_revision":1,"match_revision":1,"target":null,"reason":""}'
    await documents.save(
        HELD,
        Held(
            id="s1", account_id="x1", account=EVIL, request=held, action="decline", made_at=now, error=EVIL,
            correlation_id="sub1", cause="c",
        ),
    )  # fmt: skip
    for number, state in enumerate(("announced", "kept", "shared", "removed"), 1):
        await documents.save(
            EXPIRIES,
            Expiry(
                id=f"s{number}", state=state, rule=EVIL, changed_at=now, account=EVIL, reason=EVIL,
                until=now, due_at=now + timedelta(days=1), correlation_id="sub1", cause="c",
            ),
        )  # fmt: skip


async def _links(house: House) -> None:
    now = house.clock()
    for secret, kind in ((SHARE, "share"), (LINK, "upload-link")):
        await house.kit.documents.save(
            GRANTS,
            Grant(
                id=token_id(secret), kind=kind, label=EVIL, email=EVIL, phone=EVIL, purpose=EVIL, note=EVIL,  # type: ignore[arg-type]
                patient=EVIL, made_by="x1", made_by_name=EVIL, created_at=now,
                expires_at=now + timedelta(days=1), studies=["s1"] if kind == "share" else [],
                recipients=[Person(name=EVIL)], protection="pin", pin_hash="x",
            ),
        )  # fmt: skip


async def _people(house: House) -> dict[str, Browser]:
    root = await house.administrator()
    account = await house.kit.documents.get(ACCOUNTS, person_id("root@hospital.example"))
    assert account is not None
    account.name, account.departments = EVIL, [EVIL]
    await house.kit.documents.save(ACCOUNTS, account)
    view = SavedView(name=EVIL, query=f"sender={EVIL}")
    await house.kit.documents.save(SAVED_VIEWS, SavedViews(id=account.id, views=[view]))
    house.kit.identity.forget()
    people = {"admin": root, "nobody": house.browser()}
    now = house.clock()
    for name, kind, grant in (
        ("clinic", "account", ""),
        ("doctor", "account", ""),
        ("share", "share", SHARE),
        ("link", "upload-link", LINK),
    ):
        secret = f"session-secret-of-{name}-0123456789"
        session = Session(
            id=token_id(secret), kind=kind, account_id=name if kind == "account" else "",  # type: ignore[arg-type]
            grant_id=token_id(grant) if grant else "", created_at=now, seen_at=now,
            expires_at=now + timedelta(hours=1), agent=EVIL, address=EVIL,
        )  # fmt: skip
        await house.kit.documents.save(SESSIONS, session)
        people[name] = house.browser()
        people[name].http.cookies.set(COOKIE, secret)
    return people


async def test_every_page_is_named_here(filled: Filled):
    known = SAYS | PLAIN | OTHER
    found = {path for path in filled.routes() if not path.startswith("/api/")} | {"/api/openapi.json"}
    assert found - known == set(), "say in test_stored_markup.py what new pages show"
    assert known - found == set(), "these are gone"


async def test_nothing_becomes_markup_for_anybody(filled: Filled):
    wrong, said = [], set()
    for path in filled.routes():
        if path in STREAMS or "{path:path}" in path:
            continue
        places = {**PLACES, "secret": SECRETS.get(path, "")}
        for name, browser in filled.people.items():
            for hx in ({}, {"hx-request": "true"}):
                answer = await browser.http.get(path.format(**places), headers=hx)
                if answer.status_code >= 500:
                    wrong.append(f"{path} as {name}: {answer.status_code}")
                if answer.headers.get("content-type", "").startswith("text/html"):
                    wrong += [f"{path} as {name}: {what}" for what in wrong_in(answer.text)]
                    shown = answer.text.partition("<main")[2] or answer.text
                    said |= {path} if MARK in shown and answer.status_code == 200 else set()
                else:
                    assert answer.headers["x-content-type-options"] == "nosniff", path
    assert not wrong, "\n".join(wrong)
    assert sorted(SAYS - said) == [], "these show nothing of what was filled in, so nothing was tried"


async def test_what_is_asked_for_or_refused_becomes_no_markup(filled: Filled):
    """Words in an address, and in forms whose answer repeats them."""
    root = filled.people["admin"]
    for path in (
        f"/?sender={EVIL}&recipient={EVIL}&modality={EVIL}&age={EVIL}&tab={EVIL}",
        f"/admin/accounts?q={EVIL}",
        f"/admin/audit?person={EVIL}&action={EVIL}&since={EVIL}&about={EVIL}", f"/login?next=/{EVIL}",
        "/admin/accounts/invite?asked=r1", f"/admin/accounts/{EVIL}", f"/{EVIL}", f"/studies/{EVIL}",
    ):  # fmt: skip
        assert wrong_in((await root.get(path)).text) == [], path
    patient = Demographics(name=EVIL, patient_id=EVIL, birth_date=EVIL, sex=EVIL).model_dump_json()
    for path, fields in (
        ("/", {"q": EVIL, "tab": "all"}),
        ("/", {"tab": "all"}),
        ("/inbox/now", {"shown": f"s1:0 {EVIL}:0"}),
        ("/inbox/bulk", {"study": "s1:9:9", "action": "decline"}),
        ("/studies/s1/compare", {"patient": patient}),
        ("/studies/s1/decision", {"action": EVIL}),
        ("/studies/s1/share", {"label": EVIL, "protection": EVIL, "days": EVIL}),
        ("/requests", {"label": EVIL, "email": EVIL, "note": EVIL, "patient": EVIL, "purpose": EVIL}),
        ("/admin/accounts/invite", {"name": EVIL, "email": EVIL}),
        ("/admin/groups/new", {"name": "", "departments": EVIL}),
        ("/admin/destinations-new", {"name": EVIL, "host": EVIL, "port": EVIL}),
        ("/admin/storage", {"in_pacs_days": EVIL}),
        ("/register", {"name": EVIL, "email": EVIL, "message": EVIL}),
        ("/login", {"email": EVIL, "password": EVIL}),
    ):
        for hx in ({}, {"hx-request": "true"}):
            await root.get("/account")
            data = {"csrf": root.value("csrf"), **fields}
            headers = {"origin": "http://here", "sec-fetch-site": "same-origin", **hx}
            answer = await root.http.post(path, data=data, headers=headers)
            assert answer.status_code < 500, path
            if answer.headers.get("content-type", "").startswith("text/html"):
                assert wrong_in(answer.text) == [], path


async def test_the_check_itself_sees_markup():
    for page in (EVIL, '<p title=""onclick=x()>', '<a href="javascript:zq()">', "<script>x</script>"):
        assert wrong_in(page), page
    assert not wrong_in('<script type="application/json">{"a":"<zq>"}</script><a href="/x">&lt;zq&gt;</a>')
