"""Sharing a study: links for people outside, colleagues inside, and the page a link leads to."""

from contextlib import suppress

from fastapi import APIRouter, Request, Response

from kit.access import is_physician
from kit.errors import Forbidden, NotFound, Refused
from kit.identity import Principal
from kit.saying import say
from kit.service import Caller, Kit, visitor
from kit.sessions import Grant
from schemas.shapes import Person
from services.portal.audience import share_with, unshare_with
from services.portal.audit import changing
from services.portal.decisions import visible_case
from services.portal.live import Live
from services.portal.pages.cookies import carry_session
from services.portal.pages.forms import read_form, text
from services.portal.pages.frame import language_of, render, see_other
from services.portal.people.choosing import only
from services.portal.people.sessions import address_of, end_session, open_session
from services.portal.rules.accounts import dialled
from services.portal.settings import PortalSettings
from services.portal.sharing import Shared, Wish, by_secret, revoke, send_code, share, shares_of, use


def routes(kit: Kit, settings: PortalSettings, live: Live) -> APIRouter:  # noqa: PLR0915 - a room of small handlers
    router = APIRouter(tags=["pages"], include_in_schema=False)

    async def sharer(who: Principal, study_id: str) -> None:
        """Who of the hospital may see a study may share it. Raises NotFound and Forbidden."""
        await visible_case(kit.documents, who, study_id)
        if who.kind != "account" or not is_physician(who):
            raise Forbidden("not-allowed", "Only people of the hospital can share a study.")

    @router.get("/studies/{study_id}/share")
    async def share_page(request: Request, study_id: str, who: Principal = Caller) -> Response:
        await sharer(who, study_id)
        return await page(request, who, study_id)

    async def page(
        request: Request,
        who: Principal,
        study_id: str,
        *,
        made: Shared | None = None,
        error: Refused | None = None,
    ) -> Response:
        case, study = await visible_case(kit.documents, who, study_id)
        return await render(
            request,
            "share/share.html",
            status=error.status if error is not None else 200,
            who=who,
            case=case,
            study=study,
            shares=await shares_of(kit, case.id),
            made=made,
            link=f"{kit.site.url.rstrip('/')}{made.path}" if made is not None else "",
            error=error,
            days=settings.share_days,
        )

    @router.post("/studies/{study_id}/share")
    async def make(request: Request, study_id: str, who: Principal = Caller) -> Response:
        form = await read_form(request)
        await sharer(who, study_id)
        days, uses = text(form, "days", 4), text(form, "max_uses", 4)
        protection = text(form, "protection", 10)
        contact = text(form, "contact", 254)
        wish = Wish(
            label=text(form, "label", 100),
            email=contact if "@" in contact else "",
            phone=dialled(contact) if "@" not in contact else "",
            days=min(365, max(1, int(days))) if days.isdecimal() else settings.share_days,
            protection=protection if protection in {"none", "pin", "code"} else "pin",  # type: ignore[arg-type]
            download=text(form, "download") == "yes",
            max_uses=max(1, int(uses)) if uses.isdecimal() else None,
            language=language_of(request, who),
        )
        try:
            made = await share(kit, who, study_id, wish)
        except Refused as refused:
            return await page(request, who, study_id, error=refused)
        live.changed(study_id)
        return await page(request, who, study_id, made=made)

    @router.post("/studies/{study_id}/share/revoke")
    async def end(request: Request, study_id: str, who: Principal = Caller) -> Response:
        form = await read_form(request)
        await sharer(who, study_id)
        await revoke(kit, who, study_id, text(form, "share", 64))
        live.changed(study_id)
        return see_other(
            request, f"/studies/{study_id}/share", "The link is revoked. Nobody sees anything by it any more."
        )

    @router.post("/studies/{study_id}/share/colleague")
    async def colleague(request: Request, study_id: str, who: Principal = Caller) -> Response:
        form = await read_form(request)
        await sharer(who, study_id)
        chosen = text(form, "colleague")
        if not chosen and (meant := await only(kit, "colleagues", text(form, "words", 100))) is not None:
            chosen = meant.value
        kind, _, value = chosen.partition(":")
        account = await kit.identity.account(value) if kind == "account" else None
        if account is not None:
            person = Person(name=account.name, account_id=account.id)
        elif kind == "department" and value:
            person = Person(name=value, department=value)
        else:
            raise Refused("no-colleague", "Choose a colleague or a department.")
        ends = text(form, "end") == "yes"
        await changing(
            kit,
            who.account,
            kit.clock(),
            action="unshare" if ends else "share",
            kind="study",
            object_id=study_id,
            detail=say("entry-colleague", "account %(id)s", id=value)
            if kind == "account"
            else say("entry-department", "department %(name)s", name=value),
        )
        await (unshare_with if ends else share_with)(kit.documents, study_id, [person])
        live.changed(study_id)
        return see_other(
            request, f"/studies/{study_id}/share", "Removed." if ends else "They see the study now."
        )

    @router.get("/share/{secret}")
    async def gate(request: Request, secret: str) -> Response:
        """Opening the address counts as nothing: mail programs look at links too."""
        grant = await by_secret(kit, secret)
        who = await visitor(request)
        if who is not None and (who.kind == "share" and who.grant is not None and who.grant.id == grant.id):
            return see_other(request, _first(grant))
        if who is not None and who.kind == "account":
            with suppress(NotFound):
                await visible_case(kit.documents, who, grant.studies[0])
                return see_other(request, _first(grant))
        return await door(request, secret, grant)

    async def door(
        request: Request, secret: str, grant: Grant, *, error: Refused | None = None, sent: bool = False
    ) -> Response:
        status = error.status if error is not None else 200
        return await render(
            request, "share/door.html", status=status, secret=secret, grant=grant, error=error, sent=sent
        )

    @router.post("/share/{secret}/code")
    async def code(request: Request, secret: str) -> Response:
        await read_form(request)
        grant = await by_secret(kit, secret)
        try:
            await send_code(kit, grant)
        except Refused as refused:
            return await door(request, secret, grant, error=refused)
        return await door(request, secret, grant, sent=True)

    @router.post("/share/{secret}")
    async def enter(request: Request, secret: str) -> Response:
        form = await read_form(request)
        grant = await by_secret(kit, secret)
        before = await visitor(request)
        try:
            grant = await use(kit, secret, text(form, "pin", 20).replace(" ", ""), address_of(request))
        except Refused as refused:
            if refused.status == 404:
                raise
            return await door(request, secret, grant, error=refused)
        if before is not None and before.session is not None:
            await end_session(kit, before.session.id)
        answer = see_other(request, _first(grant))
        carry_session(request, answer, await open_session(kit, settings, request, grant=grant))
        return answer

    return router


def _first(grant: Grant) -> str:
    return f"/studies/{grant.studies[0]}" if len(grant.studies) == 1 else "/"
