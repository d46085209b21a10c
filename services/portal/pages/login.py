"""Signing in and out: password, second step, and setting one up where it is asked for."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from kit.errors import Refused, Unauthorized
from kit.identity import ACCOUNTS, Account
from kit.service import Kit, visitor
from services.portal.pages.cookies import Half, carry_half, carry_session, drop_session, half_of
from services.portal.pages.forms import read_form, text
from services.portal.pages.frame import local_path, render, see_other
from services.portal.pages.protecting import Offer, confirm, offer
from services.portal.people import signin
from services.portal.people.models import LOGINS, Login
from services.portal.people.sessions import address_of, end_session, open_session
from services.portal.settings import PortalSettings

_JUST_NOW = timedelta(minutes=2)


@dataclass(frozen=True)
class _Door:
    kit: Kit
    settings: PortalSettings

    async def proceed(self, request: Request, login: Login, account: Account, onward: str) -> Response:
        must = signin.must_have_second_factor(self.settings, await self.kit.identity.effective(account))
        if login.totp or must:
            answer = see_other(request, "/login/code" if login.totp else "/login/protect")
            carry_half(request, answer, Half(login_id=login.id, time=self.kit.clock(), next=onward))
            return answer
        return await self.enter(request, account, see_other(request, onward))

    async def enter(self, request: Request, account: Account, answer: Response) -> Response:
        """With a new session, never the one the browser came with."""
        await self.leave(request)
        await signin.signed_in(self.kit, account, address_of(request))
        carry_session(
            request, answer, await open_session(self.kit, self.settings, request, account_id=account.id)
        )
        return answer

    async def leave(self, request: Request) -> None:
        before = await visitor(request)
        if before is not None and before.session is not None:
            await end_session(self.kit, before.session.id)

    async def half_way(self, request: Request) -> tuple[Half, Login, Account]:
        half = half_of(request)
        login = await self.kit.documents.get(LOGINS, half.login_id) if half is not None else None
        account = await self.kit.documents.get(ACCOUNTS, login.account_id) if login is not None else None
        if half is None or login is None or account is None or account.disabled:
            raise Unauthorized("half-way", "Signing in took too long. Please begin again.")
        return half, login, account

    async def page(
        self, request: Request, *, next: str, email: str = "", error: Refused | None = None
    ) -> Response:
        status = error.status if error is not None else 200
        return await render(
            request,
            "login/login.html",
            status=status,
            next=next,
            email=email,
            error=error,
            registration=self.settings.registration,
        )

    async def protect(self, request: Request, offered: Offer, error: Refused | None = None) -> Response:
        values: dict[str, Any] = {"offer": offered, "error": error, "bare": True}
        return await render(
            request, "account/protect.html", status=error.status if error is not None else 200, **values
        )


def routes(kit: Kit, settings: PortalSettings) -> APIRouter:
    router = APIRouter(tags=["pages"], include_in_schema=False)
    door = _Door(kit, settings)

    @router.get("/login")
    async def login_page(request: Request, next: str = "/") -> Response:
        if await visitor(request) is not None:
            return see_other(request, local_path(next))
        return await door.page(request, next=local_path(next))

    @router.post("/login")
    async def login(request: Request) -> Response:
        form = await read_form(request)
        email, onward = text(form, "email", 254), local_path(text(form, "next", 1000))
        password = form.get("password")
        try:
            login, account = await signin.by_password(
                kit, email, password if isinstance(password, str) else "", address_of(request)
            )
        except Refused as error:
            return await door.page(request, next=onward, email=email, error=error)
        return await door.proceed(request, login, account, onward)

    @router.get("/login/ready")
    async def ready(request: Request) -> Response:
        """Straight on after choosing the first password: whoever holds this cookie just did."""
        half, login, account = await door.half_way(request)
        if login.password_at is None or kit.clock() - login.password_at > _JUST_NOW:
            return see_other(request, "/login")
        return await door.proceed(request, login, account, local_path(half.next))

    @router.get("/login/code")
    async def code_page(request: Request) -> Response:
        await door.half_way(request)
        return await render(request, "login/code.html", error=None)

    @router.post("/login/code")
    async def code(request: Request) -> Response:
        form = await read_form(request)
        half, login, account = await door.half_way(request)
        try:
            await signin.by_code(kit, login, account, text(form, "code", 40), address_of(request))
        except Refused as error:
            return await render(request, "login/code.html", status=error.status, error=error)
        return await door.enter(request, account, see_other(request, local_path(half.next)))

    @router.get("/login/protect")
    async def protect_page(request: Request) -> Response:
        _, login, _ = await door.half_way(request)
        return await door.protect(request, offer(kit, login))

    @router.post("/login/protect")
    async def protect(request: Request) -> Response:
        form = await read_form(request)
        half, login, account = await door.half_way(request)
        if login.totp:
            return see_other(request, "/login/code")
        try:
            codes = await confirm(kit, login, account, text(form, "sealed", 500), text(form, "code", 40))
        except Refused as error:
            return await door.protect(request, offer(kit, login, text(form, "sealed", 500)), error=error)
        onward = local_path(half.next)
        page = await render(request, "account/recovery.html", codes=codes, onward=onward, bare=True)
        return await door.enter(request, account, page)

    @router.post("/logout")
    async def logout(request: Request) -> Response:
        await read_form(request)
        who = await visitor(request)
        if who is not None and who.session is not None:
            if who.kind == "account":
                await signin.note(kit, who.account, "signed-out")
            await end_session(kit, who.session.id)
        answer = see_other(request, "/login", "You are signed out.")
        drop_session(answer)
        return answer

    return router
