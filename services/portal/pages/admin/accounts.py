"""Accounts: list, invite, rights, and helping somebody who can't get in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Query, Request, Response
from starlette.datastructures import FormData

from kit.errors import NotFound, Refused
from kit.identity import ACCOUNTS, TOKENS, Account, Principal, Role, Token, token_id
from kit.ids import secret_token
from kit.service import Kit
from services.portal.accounts import (
    account_by,
    account_id,
    all_accounts,
    all_groups,
    change_account,
    make_account,
    record,
)
from services.portal.handlers import destination_names
from services.portal.pages.admin.desk import Administrator, lines_of, roles_of, show
from services.portal.pages.forms import read_form, text, texts
from services.portal.pages.frame import ROLE_NAMES, see_other
from services.portal.people import signin, tries
from services.portal.people.finding import KINDS, find_accounts
from services.portal.people.invite import check_address, invite, login_of, move_login
from services.portal.people.models import REGISTRATIONS, Login, Registration, person_id
from services.portal.people.sessions import end_all, sessions_of
from services.portal.settings import PortalSettings
from services.portal.texts import LANGUAGES

_PAGE = 50


@dataclass(frozen=True)
class _Asked:
    q: str
    kind: str
    role: str

    @property
    def facts(self) -> list[str]:
        kind = [self.kind] if self.kind in KINDS else []
        return [*kind, f"role:{self.role}"] if self.role in {role.value for role in Role} else kind


@dataclass(frozen=True)
class _Row:
    account: Account
    effective: Account
    login: Login | None
    locked: datetime | None


def add(router: APIRouter, kit: Kit, settings: PortalSettings) -> None:
    _list_routes(router, kit, settings)
    _edit_routes(router, kit)
    _help_routes(router, kit, settings)
    _token_routes(router, kit)


def _list_routes(router: APIRouter, kit: Kit, settings: PortalSettings) -> None:
    @router.get("/accounts")
    async def accounts(
        request: Request,
        kind: str = Query(default="", max_length=10),
        role: str = Query(default="", max_length=20),
        who: Principal = Administrator,
    ) -> Response:
        return await _listed(kit, request, who, _Asked("", kind, role))

    @router.post("/accounts/search")
    async def search(request: Request, who: Principal = Administrator) -> Response:
        """In the body: what is typed is somebody's name. With a cursor: the rows that follow."""
        form = await read_form(request)
        asked = _Asked(text(form, "q", 100), text(form, "kind", 10), text(form, "role", 20))
        return await _listed(kit, request, who, asked, text(form, "cursor", 500) or None)

    @router.get("/accounts/invite")
    async def invite_page(request: Request, asked: str = "", who: Principal = Administrator) -> Response:
        registration = await kit.documents.get(REGISTRATIONS, asked) if asked else None
        blank = Account(id="", name="")
        if registration is not None and registration.state == "waiting":
            blank = blank.model_copy(
                update={
                    "name": registration.name,
                    "email": registration.email,
                    "phone": registration.phone or None,
                    "origin": registration.organisation,
                    "language": registration.language,
                    "roles": [Role.SEND],  # what the page of registration offers
                }
            )
        return await _form(kit, request, who, "invite", blank, registration=registration)

    @router.post("/accounts/invite")
    async def invite_somebody(request: Request, who: Principal = Administrator) -> Response:
        form = await read_form(request)
        account = _typed(form, Account(id="", name=""))
        registration = await kit.documents.get(REGISTRATIONS, text(form, "asked"))
        try:
            if not account.email:
                raise Refused("no-address", "An email address is needed: it is what one signs in with.")
            account.id = person_id(account.email)
            await check_address(kit, account.id, account.email)
            await make_account(kit, who, account)
            path = await invite(kit, settings, who, account)
        except Refused as error:
            return await _form(kit, request, who, "invite", account, error=error, registration=registration)
        if registration is not None:
            await _approve(kit, who, registration)
        return await _invited(request, who, account, path)

    @router.get("/accounts/machine")
    async def machine_page(request: Request, who: Principal = Administrator) -> Response:
        return await _form(kit, request, who, "machine", Account(id="", name=""))

    @router.post("/accounts/machine")
    async def make_machine(request: Request, who: Principal = Administrator) -> Response:
        form = await read_form(request)
        account = _typed(form, Account(id="", name=""))
        account.id = account_id(account.name)
        try:
            await make_account(kit, who, account)
        except Refused as error:
            return await _form(kit, request, who, "machine", account, error=error)
        return see_other(request, f"/admin/accounts/{account.id}", "The account is made.")


def _edit_routes(router: APIRouter, kit: Kit) -> None:
    @router.get("/accounts/{account}")
    async def account_page(request: Request, account: str, who: Principal = Administrator) -> Response:
        return await _page(kit, request, who, await account_by(kit, account))

    @router.post("/accounts/{account}")
    async def save(request: Request, account: str, who: Principal = Administrator) -> Response:
        form = await read_form(request)
        before = await account_by(kit, account)
        changed = _typed(form, before)
        try:
            if text(form, "version") != str(before.version):
                raise Refused(
                    "changed-meanwhile", "Somebody else changed this at the same time. Look again and retry."
                )
            if changed.email != before.email and await login_of(kit, before.id) is not None:
                if not changed.email:
                    raise Refused("no-address", "An email address is needed: it is what one signs in with.")
                await check_address(kit, before.id, changed.email)
            await change_account(kit, who, before, changed)
            if changed.email:
                await move_login(kit, before.id, changed.email)
        except Refused as error:
            return await _page(kit, request, who, changed, error=error)
        return see_other(request, f"/admin/accounts/{before.id}", "Saved.")

    @router.post("/accounts/{account}/disable")
    async def disable(request: Request, account: str, who: Principal = Administrator) -> Response:
        await read_form(request)
        before = await account_by(kit, account)
        if before.id == who.account.id:
            raise Refused("own-account", "You can't shut yourself out. Ask another administrator.")
        await change_account(kit, who, before, before.model_copy(update={"disabled": True}))
        return see_other(request, f"/admin/accounts/{before.id}", "The account is shut out.")

    @router.post("/accounts/{account}/enable")
    async def enable(request: Request, account: str, who: Principal = Administrator) -> Response:
        await read_form(request)
        before = await account_by(kit, account)
        await change_account(kit, who, before, before.model_copy(update={"disabled": False}))
        return see_other(request, f"/admin/accounts/{before.id}", "The account may come in again.")


def _help_routes(router: APIRouter, kit: Kit, settings: PortalSettings) -> None:
    @router.post("/accounts/{account}/invite")
    async def send_again(request: Request, account: str, who: Principal = Administrator) -> Response:
        await read_form(request)
        found = await account_by(kit, account)
        return await _invited(request, who, found, await invite(kit, settings, who, found))

    @router.post("/accounts/{account}/unlock")
    async def unlock(request: Request, account: str, who: Principal = Administrator) -> Response:
        await read_form(request)
        found, login = await _with_login(kit, account)
        await record(kit, who, "unlocked", "account", found.id)
        await signin.unlock(kit, login)
        return see_other(request, f"/admin/accounts/{found.id}", "They can try again at once.")

    @router.post("/accounts/{account}/second-factor")
    async def reset_second_factor(request: Request, account: str, who: Principal = Administrator) -> Response:
        await read_form(request)
        found, login = await _with_login(kit, account)
        await signin.drop_second_factor(kit, who.account, login, found)
        await end_all(kit, found.id)
        return see_other(request, f"/admin/accounts/{found.id}", "The second factor is off.")

    @router.post("/accounts/{account}/sign-out")
    async def sign_out(request: Request, account: str, who: Principal = Administrator) -> Response:
        await read_form(request)
        found = await account_by(kit, account)
        await record(kit, who, "signed-out-everywhere", "account", found.id)
        await end_all(kit, found.id)
        return see_other(request, f"/admin/accounts/{found.id}", "They are signed out everywhere.")


def _token_routes(router: APIRouter, kit: Kit) -> None:
    @router.post("/accounts/{account}/tokens")
    async def make_token(request: Request, account: str, who: Principal = Administrator) -> Response:
        form = await read_form(request)
        found = await account_by(kit, account)
        days = text(form, "days", 4)
        secret, now = secret_token(), kit.clock()
        token = Token(
            id=token_id(secret),
            account_id=found.id,
            label=text(form, "label", 100),
            created_at=now,
            expires_at=now + timedelta(days=int(days)) if days.isdecimal() and int(days) else None,
        )
        await record(kit, who, "made", "token", token.id[:16], found.id)
        await kit.documents.save(TOKENS, token)
        return await _page(kit, request, who, found, secret=secret)

    @router.post("/accounts/{account}/tokens/revoke")
    async def revoke_token(request: Request, account: str, who: Principal = Administrator) -> Response:
        form = await read_form(request)
        found = await account_by(kit, account)
        token = await kit.documents.get(TOKENS, text(form, "token"))
        if token is None or token.account_id != found.id:
            raise NotFound("no-token", "There is no such token.")
        await record(kit, who, "revoked", "token", token.id[:16], found.id)
        await kit.documents.delete(TOKENS, token)
        kit.identity.forget()
        return see_other(request, f"/admin/accounts/{found.id}", "The token works no longer.")


async def _form(
    kit: Kit,
    request: Request,
    who: Principal,
    template: str,
    account: Account,
    *,
    error: Refused | None = None,
    **values: Any,
) -> Response:
    return await show(
        request,
        who,
        template,
        error=error,
        account=account,
        groups=await all_groups(kit),
        destinations=await destination_names(kit),
        departments=await _departments(kit),
        **{"registration": None, **values},
    )


async def _page(
    kit: Kit,
    request: Request,
    who: Principal,
    account: Account,
    *,
    error: Refused | None = None,
    secret: str = "",
) -> Response:
    login = await login_of(kit, account.id)
    tokens = await kit.documents.find(TOKENS, {"account_id": account.id}, limit=100)
    stored = await kit.documents.get(ACCOUNTS, account.id)
    return await _form(
        kit,
        request,
        who,
        "account",
        account,
        error=error,
        login=login,
        locked=await _locked(kit, login),
        sessions=await sessions_of(kit, account.id),
        tokens=tokens.items,
        secret=secret,
        stored=stored or account,
    )


async def _invited(request: Request, who: Principal, account: Account, path: str) -> Response:
    link = str(request.app.state.site.url).rstrip("/") + path
    return await show(request, who, "invited", account=account, link=link)


async def _approve(kit: Kit, who: Principal, registration: Registration) -> None:
    await record(kit, who, "approved", "registration", registration.id)
    registration.state = "approved"
    registration.decided_by = who.account.id
    await kit.documents.save(REGISTRATIONS, registration)


async def _with_login(kit: Kit, text: str) -> tuple[Account, Login]:
    account = await account_by(kit, text)
    login = await login_of(kit, account.id)
    if login is None:
        raise NotFound("no-login", "Nobody signs in with this account.")
    return account, login


async def _locked(kit: Kit, login: Login | None) -> datetime | None:
    if login is None:
        return None
    found = [
        await tries.waits_until(kit.documents, kit.clock(), what, login.id) for what in ("password", "code")
    ]
    return max((until for until in found if until is not None), default=None)


async def _departments(kit: Kit) -> list[str]:
    """Names used so far, to choose from."""
    used = [account.departments for account in await all_accounts(kit)]
    used += [group.departments for group in await all_groups(kit)]
    return sorted({name for names in used for name in names})


async def _listed(
    kit: Kit, request: Request, who: Principal, asked: _Asked, cursor: str | None = None
) -> Response:
    page = await find_accounts(kit, asked.q, asked.facts, limit=_PAGE, cursor=cursor)
    rows = []
    for account in page.items:
        login = await login_of(kit, account.id)
        locked = await _locked(kit, login)
        rows.append(_Row(account, await kit.identity.effective(account), login, locked))
    return await show(
        request,
        who,
        "accounts-rows" if cursor and request.headers.get("hx-request") else "accounts",
        rows=rows,
        asked=asked,
        cursor=page.cursor,
        roles=ROLE_NAMES,
        group_names={group.id: group.name for group in await all_groups(kit)},
    )


def _typed(form: FormData, account: Account) -> Account:
    """The account with what the form says; fields that the form does not have stay."""
    language = text(form, "language", 10)
    changes: dict[str, Any] = {
        "name": text(form, "name", 100),
        "email": text(form, "email", 254) or None,
        "phone": text(form, "phone", 30) or None,
        "language": language if language in LANGUAGES else account.language,
        "origin": text(form, "origin", 64),
        "roles": roles_of(form),
        "groups": texts(form, "groups"),
        "departments": lines_of(form, "departments"),
        "policy": "forward-certain" if text(form, "policy") == "forward-certain" else "review",
        "destinations": texts(form, "destinations"),
        "ae_titles": lines_of(form, "ae_titles"),
        "addresses": lines_of(form, "addresses"),
        "certificates": lines_of(form, "certificates"),
    }
    return account.model_copy(update=changes)
