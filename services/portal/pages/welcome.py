"""Coming in by a link: an invitation, a forgotten password, the first administrator. And asking for one."""

from fastapi import APIRouter, Request, Response

from kit.errors import Refused
from kit.identity import ACCOUNTS, Account, Role
from kit.ids import derived_id
from kit.service import Kit
from services.portal.pages.cookies import Half, carry_half
from services.portal.pages.forms import read_form, text
from services.portal.pages.frame import language_of, render, see_other
from services.portal.people import finding, links, signin, tries
from services.portal.people.models import (
    REGISTRATIONS,
    Link,
    Login,
    Registration,
    login_id,
    person_id,
)
from services.portal.people.passwords import check_password
from services.portal.people.sessions import address_of, end_all
from services.portal.rules.accounts import check_account
from services.portal.settings import PortalSettings


def routes(kit: Kit, settings: PortalSettings) -> APIRouter:
    router = APIRouter(tags=["pages"], include_in_schema=False)
    documents = kit.documents

    @router.get("/welcome/{secret}")
    async def welcome_page(request: Request, secret: str) -> Response:
        link, login, account = await links.opened(kit, secret)
        return await _welcome(request, link, login, account)

    @router.post("/welcome/{secret}")
    async def welcome(request: Request, secret: str) -> Response:
        form = await read_form(request)
        link, invited, known = await links.opened(kit, secret)
        password = form.get("password")
        password = password if isinstance(password, str) else ""
        try:
            if invited is not None and known is not None:
                login, account = invited, known
            else:
                login, account = _first(kit, text(form, "name", 100), text(form, "email", 254))
                check_password(password, account.name, login.email, breached=settings.breached_passwords_file)
                account.language = language_of(request, None)
                await links.use_up(kit, link)
                await documents.save(ACCOUNTS, account)
            await signin.set_password(kit, settings, login, account, password, tell=link.kind == "reset")
            await finding.note(kit, account)
        except Refused as error:
            shown = (text(form, "name", 100), text(form, "email", 254))
            return await _welcome(request, link, invited, known, error=error, typed=shown)
        await end_all(kit, account.id)
        if link.kind == "reset":
            return see_other(request, "/login", "Your new password is set. Sign in with it.")
        answer = see_other(request, "/login/ready")
        carry_half(request, answer, Half(login_id=login.id, time=kit.clock(), next="/"))
        return answer

    async def _welcome(
        request: Request,
        link: Link,
        login: Login | None,
        account: Account | None,
        *,
        error: Refused | None = None,
        typed: tuple[str, str] = ("", ""),
    ) -> Response:
        return await render(
            request,
            "login/welcome.html",
            status=error.status if error is not None else 200,
            who=None,
            link=link,
            login=login,
            account=account,
            error=error,
            name=typed[0],
            email=typed[1],
        )

    @router.get("/reset")
    async def reset_page(request: Request) -> Response:
        return await render(request, "login/reset.html", done=False, error=None)

    @router.post("/reset")
    async def reset(request: Request) -> Response:
        """The same answer whether or not anybody signs in under the address."""
        form = await read_form(request)
        email, now = text(form, "email", 254), kit.clock()
        try:
            await tries.count_try(documents, now, tries.MAIL_ADDRESS, "mail-address", address_of(request))
            await tries.count_try(documents, now, tries.MAIL, "mail", login_id(email))
        except Refused as error:
            return await render(request, "login/reset.html", status=error.status, done=False, error=error)
        await links.ask_for_reset(kit, settings, email)
        return await render(request, "login/reset.html", done=True, error=None)

    if settings.registration:
        _registration_routes(router, kit)
    return router


def _registration_routes(router: APIRouter, kit: Kit) -> None:
    @router.get("/register")
    async def register_page(request: Request) -> Response:
        return await render(request, "login/register.html", done=False, error=None, typed={})

    @router.post("/register")
    async def register(request: Request) -> Response:
        form = await read_form(request)
        names = ("name", "organisation", "email", "phone", "message")
        typed = {name: text(form, name, 1000 if name == "message" else 200) for name in names}
        try:
            await tries.count_try(
                kit.documents, kit.clock(), tries.MAIL_ADDRESS, "register-address", address_of(request)
            )
            registration = Registration(
                id=derived_id("registration", typed["email"].casefold()),
                **typed,
                language=language_of(request, None),
                created_at=kit.clock(),
            )
            check_account(
                Account(id="new", name=typed["name"], email=typed["email"], phone=typed["phone"] or None), []
            )
            if not typed["email"] or not typed["organisation"]:
                raise Refused("incomplete", "Please fill in name, organisation and email address.")
        except Refused as error:
            return await render(
                request, "login/register.html", status=error.status, done=False, error=error, typed=typed
            )
        known = await kit.documents.get(REGISTRATIONS, registration.id)
        if known is None or known.state != "waiting":
            registration.version = known.version if known is not None else 0
            await kit.documents.save(REGISTRATIONS, registration)
        return await render(request, "login/register.html", done=True, error=None, typed={})


def _first(kit: Kit, name: str, email: str) -> tuple[Login, Account]:
    """Raises Refused for an address or a name that is none."""
    account = Account(id=person_id(email), name=name, email=email, roles=[Role.ADMIN])
    check_account(account, [])
    if not email:
        raise Refused("bad-account", "The email address is not one.")
    return Login(id=login_id(email), account_id=account.id, email=email, invited_at=kit.clock()), account
