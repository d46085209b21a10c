"""The pages for sending: with an account, by a one-time link, and what one has sent."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Query, Request, Response

from kit.errors import Forbidden, NotFound, Refused
from kit.identity import Principal, Role
from kit.service import Caller, Kit, visitor
from kit.sessions import Grant
from services.portal import requesting
from services.portal.models import Case
from services.portal.pages.cookies import carry_session
from services.portal.pages.forms import read_form, text
from services.portal.pages.frame import language_of, render, see_other
from services.portal.people.sessions import address_of, open_session
from services.portal.settings import PortalSettings
from services.portal.texts import LANGUAGES, topic
from services.portal.texts.bycode import for_scripts
from services.portal.tracking.models import TRACKS, Track
from services.portal.tracking.reading import cases_of, looked_at
from services.portal.tracking.stages import Way, way_of

PURPOSES = ("Second opinion", "Treatment", "Referral", "Follow-up", "Tumour board", "Emergency", "Other")
_ROWS = 25


@dataclass(frozen=True)
class Sent:
    """A line of the list of what somebody sent."""

    track: Track
    cases: Sequence[Case]
    way: Way


def routes(kit: Kit, settings: PortalSettings) -> APIRouter:
    router = APIRouter(tags=["pages"], include_in_schema=False)

    @router.get("/send")
    async def send_page(request: Request, who: Principal = Caller) -> Response:
        who.require(Role.SEND)
        if who.kind != "account":
            raise Forbidden("not-allowed", "Open the link you were sent once more: it leads to your page.")
        return await _send(request, who, None)

    async def _send(request: Request, who: Principal, grant: Grant | None) -> Response:
        language = language_of(request, who)
        texts = {**topic(language, "send"), **for_scripts(language)}
        return await render(request, "send/send.html", who=who, grant=grant, purposes=PURPOSES, texts=texts)

    @router.get("/submissions")
    async def submissions(
        request: Request, cursor: str | None = Query(default=None, max_length=500), who: Principal = Caller
    ) -> Response:
        """What the account sent, newest first."""
        who.require(Role.SEND)
        page = await kit.documents.find(
            TRACKS,
            {"sender_id": who.account.id},
            order="opened_at",
            descending=True,
            limit=_ROWS,
            cursor=cursor,
        )
        rows = []
        for track in page.items:
            cases = await cases_of(kit.documents, track.id)
            seen = await looked_at(kit.documents, cases, track)
            rows.append(Sent(track, cases, way_of(track, cases, seen)))
        template = "send/rows.html" if request.headers.get("hx-request") else "send/submissions.html"
        return await render(request, template, who=who, rows=rows, cursor=page.cursor)

    @router.get("/u/{secret}")
    async def link_page(request: Request, secret: str) -> Response:
        """Opening the address alone starts nothing: programs that look through mails do that too."""
        grant = await requesting.by_secret(kit, secret)
        who = await visitor(request)
        if who is None or who.grant is None or who.grant.id != grant.id:
            return await _gate(request, grant, secret)
        sent = await requesting.sent_by(kit, grant)
        if sent is not None and sent.closed_at is not None:
            return see_other(request, f"/s/{sent.id}")
        return await _send(request, who, grant)

    @router.post("/u/{secret}")
    async def open_link(request: Request, secret: str) -> Response:
        form = await read_form(request)
        try:
            grant = await requesting.use(kit, secret, text(form, "pin", 20), address_of(request))
        except NotFound:
            raise
        except Refused as error:
            grant = await requesting.by_secret(kit, secret)
            return await _gate(request, grant, secret, error)
        answer = see_other(request, f"/u/{secret}")
        carry_session(request, answer, await open_session(kit, settings, request, grant=grant))
        return answer

    async def _gate(request: Request, grant: Grant, secret: str, error: Refused | None = None) -> Response:
        status = error.status if error is not None else 200
        return await render(
            request, "send/gate.html", status=status, who=None, grant=grant, secret=secret, error=error
        )

    @router.get("/requests")
    async def requests_page(request: Request, who: Principal = Caller) -> Response:
        who.require(Role.VIEW)
        return await _requests(request, who)

    @router.post("/requests")
    async def ask(request: Request, who: Principal = Caller) -> Response:
        form = await read_form(request)
        who.require(Role.VIEW)
        typed = {name: text(form, name, 1000 if name == "note" else 200) for name in
                 ("label", "email", "patient", "purpose", "note", "days", "language", "pin")}  # fmt: skip
        days = int(typed["days"]) if typed["days"].isdecimal() else 14
        wish = requesting.Ask(
            label=typed["label"],
            email=typed["email"],
            patient=typed["patient"],
            purpose=typed["purpose"],
            note=typed["note"],
            days=min(max(days, 1), 60),
            pin=bool(typed["pin"]),
            language=typed["language"] if typed["language"] in LANGUAGES else language_of(request, who),
        )
        try:
            asked = await requesting.ask(kit, who, wish)
        except Refused as error:
            return await _requests(request, who, typed=typed, error=error)
        return await _requests(request, who, asked=asked)

    @router.post("/requests/{grant_id}/revoke")
    async def revoke(request: Request, grant_id: str, who: Principal = Caller) -> Response:
        await read_form(request)
        who.require(Role.VIEW)
        await requesting.revoke(kit, who, grant_id)
        return see_other(request, "/requests", "The link does not work any more.")

    async def _requests(
        request: Request,
        who: Principal,
        *,
        typed: dict[str, str] | None = None,
        asked: requesting.Asked | None = None,
        error: Refused | None = None,
    ) -> Response:
        return await render(
            request,
            "send/requests.html",
            status=error.status if error is not None else 200,
            who=who,
            links=[
                (grant, sent, requesting.state_of(grant, sent, kit.clock()))
                for grant, sent in await requesting.asked_by(kit, who)
            ],
            purposes=PURPOSES,
            typed=typed or {},
            asked=asked,
            url=f"{kit.site.url.rstrip('/')}{asked.path}" if asked is not None else "",
            error=error,
        )

    return router
