"""One's own account: name and language, password, second factor, sessions, API tokens."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from kit.errors import Forbidden, NotFound, Refused
from kit.identity import ACCOUNTS, TOKENS, Account, Principal, Role, Token, token_id
from kit.ids import secret_token
from kit.service import Caller, Kit
from services.portal.pages.cookies import carry_session, drop_session
from services.portal.pages.forms import read_form, text
from services.portal.pages.frame import LANGUAGE_COOKIE, render, see_other
from services.portal.pages.protecting import confirm, offer
from services.portal.people import finding, secondfactor, signin
from services.portal.people.models import LOGINS, Login
from services.portal.people.sessions import address_of, end_all, end_session, open_session, sessions_of
from services.portal.rules.accounts import check_account
from services.portal.settings import PortalSettings
from services.portal.texts import LANGUAGES

_LONGEST_DAYS = 365


@dataclass(frozen=True)
class _Desk:
    """What all parts of the page need."""

    kit: Kit
    settings: PortalSettings

    async def own(self, who: Principal) -> tuple[Login, Account]:
        """As stored. Raises Forbidden for machines and links."""
        page = await self.kit.documents.find(LOGINS, {"account_id": who.account.id}, limit=1)
        account = await self.kit.documents.get(ACCOUNTS, who.account.id)
        if who.kind != "account" or not page.items or account is None:
            raise Forbidden("no-person", "Only somebody who signs in with a password has this page.")
        return page.items[0], account

    async def shown(
        self, request: Request, who: Principal, error: Refused | None = None, **values: Any
    ) -> Response:
        login, account = await self.own(who)
        tokens = await self.kit.documents.find(TOKENS, {"account_id": account.id}, limit=100)
        return await render(
            request,
            "account/account.html",
            status=error.status if error is not None else 200,
            who=who,
            login=login,
            account=account,
            sessions=await sessions_of(self.kit, account.id),
            tokens=tokens.items,
            error=error,
            must_protect=signin.must_have_second_factor(self.settings, who.account),
            **{"part": "", "secret": "", **values},
        )

    async def renewed(self, request: Request, who: Principal, answer: Response) -> Response:
        """What protects the account changed: every other session ends, this one gets a new secret."""
        await end_all(self.kit, who.account.id)
        carry_session(
            request, answer, await open_session(self.kit, self.settings, request, account_id=who.account.id)
        )
        return answer

    async def prove(self, request: Request, login: Login, account: Account, present: object) -> None:
        given = present if isinstance(present, str) else ""
        await signin.prove_password(self.kit, login, account, given, address_of(request))


def routes(kit: Kit, settings: PortalSettings) -> APIRouter:
    router = APIRouter(tags=["pages"], include_in_schema=False, prefix="/account")
    desk = _Desk(kit, settings)

    @router.get("")
    async def account_page(request: Request, who: Principal = Caller) -> Response:
        return await desk.shown(request, who)

    _profile_routes(router, desk)
    _factor_routes(router, desk)
    _session_routes(router, desk)
    _token_routes(router, desk)
    return router


def _profile_routes(router: APIRouter, desk: _Desk) -> None:
    kit, settings = desk.kit, desk.settings
    documents = desk.kit.documents

    @router.post("/profile")
    async def profile(request: Request, who: Principal = Caller) -> Response:
        form = await read_form(request)
        _, account = await desk.own(who)
        account.name = text(form, "name", 100)
        account.phone = text(form, "phone", 30) or None
        if who.may(Role.APPROVE):
            account.told_of_failures = text(form, "told_of_failures") == "yes"
        account.language = text(form, "language") if text(form, "language") in LANGUAGES else "en"
        try:
            check_account(account, account.destinations)
        except Refused as error:
            return await desk.shown(request, who, error, part="profile")
        await signin.note(kit, account, "profile-changed")
        await documents.save(ACCOUNTS, account)
        await finding.note(kit, account)
        kit.identity.forget()
        answer = see_other(request, "/account", "Saved.")
        answer.delete_cookie(LANGUAGE_COOKIE, path="/")
        return answer

    @router.post("/password")
    async def password(request: Request, who: Principal = Caller) -> Response:
        form = await read_form(request)
        login, account = await desk.own(who)
        try:
            await desk.prove(request, login, account, form.get("present"))
            new = form.get("password")
            await signin.set_password(kit, settings, login, account, new if isinstance(new, str) else "")
        except Refused as error:
            return await desk.shown(request, who, error, part="password")
        answer = see_other(request, "/account", "Your password is changed; elsewhere you are signed out.")
        return await desk.renewed(request, who, answer)


def _factor_routes(router: APIRouter, desk: _Desk) -> None:
    kit, settings = desk.kit, desk.settings
    documents = desk.kit.documents

    @router.get("/protect")
    async def protect_page(request: Request, who: Principal = Caller) -> Response:
        login, _ = await desk.own(who)
        if login.totp:
            return see_other(request, "/account")
        return await render(
            request, "account/protect.html", who=who, offer=offer(kit, login), error=None, bare=False
        )

    @router.post("/protect")
    async def protect(request: Request, who: Principal = Caller) -> Response:
        form = await read_form(request)
        login, account = await desk.own(who)
        if login.totp:
            return see_other(request, "/account")
        sealed = text(form, "sealed", 500)
        try:
            await desk.prove(request, login, account, form.get("present"))
            codes = await confirm(kit, login, account, sealed, text(form, "code", 40))
        except Refused as error:
            offered = offer(kit, login, sealed)
            return await render(
                request,
                "account/protect.html",
                status=error.status,
                who=who,
                offer=offered,
                error=error,
                bare=False,
            )
        page = await render(
            request, "account/recovery.html", who=who, codes=codes, onward="/account", bare=False
        )
        return await desk.renewed(request, who, page)

    @router.post("/unprotect")
    async def unprotect(request: Request, who: Principal = Caller) -> Response:
        form = await read_form(request)
        login, account = await desk.own(who)
        try:
            await desk.prove(request, login, account, form.get("present"))
            if signin.must_have_second_factor(settings, who.account):
                raise Forbidden("must-protect", "Accounts with your rights must have a second factor here.")
            await signin.drop_second_factor(kit, account, login, account)
        except Refused as error:
            return await desk.shown(request, who, error, part="factor")
        return await desk.renewed(request, who, see_other(request, "/account", "The second factor is off."))

    @router.post("/recovery")
    async def recovery(request: Request, who: Principal = Caller) -> Response:
        form = await read_form(request)
        login, account = await desk.own(who)
        try:
            await desk.prove(request, login, account, form.get("present"))
        except Refused as error:
            return await desk.shown(request, who, error, part="factor")
        if not login.totp:
            return see_other(request, "/account")
        codes = secondfactor.new_recovery(login)
        await signin.note(kit, account, "recovery-codes-made")
        await documents.save(LOGINS, login)
        return await render(
            request, "account/recovery.html", who=who, codes=codes, onward="/account", bare=False
        )


def _session_routes(router: APIRouter, desk: _Desk) -> None:
    kit = desk.kit

    @router.post("/sessions/end")
    async def end_one(request: Request, who: Principal = Caller) -> Response:
        form = await read_form(request)
        await desk.own(who)
        chosen = text(form, "session")
        if chosen not in {session.id for session in await sessions_of(kit, who.account.id)}:
            raise NotFound("no-session", "This session is over already.")
        await end_session(kit, chosen)
        return see_other(request, "/account", "That browser is signed out.")

    @router.post("/sessions/end-all")
    async def end_everywhere(request: Request, who: Principal = Caller) -> Response:
        await read_form(request)
        await desk.own(who)
        await signin.note(kit, who.account, "signed-out-everywhere")
        await end_all(kit, who.account.id)
        answer = see_other(request, "/login", "You are signed out everywhere.")
        drop_session(answer)
        return answer


def _token_routes(router: APIRouter, desk: _Desk) -> None:
    kit = desk.kit
    documents = desk.kit.documents

    @router.post("/tokens")
    async def make_token(request: Request, who: Principal = Caller) -> Response:
        form = await read_form(request)
        login, account = await desk.own(who)
        days = text(form, "days", 4)
        try:
            await desk.prove(request, login, account, form.get("present"))
            if not days.isdecimal() or not 1 <= int(days) <= _LONGEST_DAYS:
                raise Refused("bad-days", "A token lasts from 1 to 365 days.")
        except Refused as error:
            return await desk.shown(request, who, error, part="tokens")
        secret, now = secret_token(), kit.clock()
        token = Token(
            id=token_id(secret),
            account_id=account.id,
            label=text(form, "label", 100),
            created_at=now,
            expires_at=now + timedelta(days=int(days)),
        )
        await signin.note(kit, account, "token-made", token.id[:16])
        await documents.save(TOKENS, token)
        return await desk.shown(request, who, secret=secret, part="tokens")

    @router.post("/tokens/revoke")
    async def revoke_token(request: Request, who: Principal = Caller) -> Response:
        form = await read_form(request)
        token = await documents.get(TOKENS, text(form, "token"))
        if token is None or token.account_id != who.account.id:
            raise NotFound("no-token", "There is no such token.")
        await signin.note(kit, who.account, "token-revoked", token.id[:16])
        await documents.delete(TOKENS, token)
        kit.identity.forget()
        return see_other(request, "/account", "The token works no longer.")
