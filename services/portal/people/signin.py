"""Proving who one is, and changing by what. Every step is counted before and written down after."""

from kit.errors import Refused, Stale, VersionConflict
from kit.identity import ACCOUNTS, Account, Role
from kit.service import Kit
from schemas.shapes import Person
from services.portal.audit import changing
from services.portal.people import secondfactor, tries
from services.portal.people.letters import Letter, letter
from services.portal.people.models import LOGINS, Login, login_id
from services.portal.people.passwords import check_password, hash_password, is_outdated, verify_password
from services.portal.settings import PortalSettings

_STAFF = {Role.VIEW, Role.VIEW_ALL, Role.APPROVE, Role.ADMIN}
NOBODY = Account(id="", name="")


def _wrong() -> Refused:
    return Refused("sign-in-failed", "The address or the password is not right.")


async def by_password(kit: Kit, email: str, password: str, address: str) -> tuple[Login, Account]:
    """Raises Refused, in the same words and after the same time whatever was wrong, and TooMany."""
    documents, now = kit.documents, kit.clock()
    key = login_id(email)
    login = await documents.get(LOGINS, key)
    account = await documents.get(ACCOUNTS, login.account_id) if login is not None else None
    await _count(kit, account, address, "password", key)
    right = await verify_password(login.password_hash if login is not None else "", password)
    if not right or login is None or account is None or account.disabled:
        await note(kit, account or NOBODY, "sign-in-failed", address)
        raise _wrong()
    await tries.forgive(documents, "password", key)
    await tries.take_back(documents, "address", address)
    if is_outdated(login.password_hash):
        login.password_hash = await hash_password(password)
    login.last_sign_in_at = now
    await _save(kit, login)
    return login, account


async def by_code(kit: Kit, login: Login, account: Account, code: str, address: str) -> None:
    """The second step. Raises Refused and TooMany."""
    await _count(kit, account, address, "code", login.id)
    used = secondfactor.accept(kit, login, code)
    if not used:
        await note(kit, account, "second-factor-failed", address)
        raise Refused("wrong-code", "This code is not right, or was used already. Wait for the next one.")
    try:
        await kit.documents.save(LOGINS, login)
    except VersionConflict:
        raise Refused("wrong-code", "This code was just used. Wait for the next one.") from None
    await tries.forgive(kit.documents, "code", login.id)
    await tries.take_back(kit.documents, "address", address)
    if used == "recovery code":
        await note(kit, account, "recovery-code-used", address)


async def signed_in(kit: Kit, account: Account, address: str) -> None:
    await note(kit, account, "signed-in", address)


async def prove_password(kit: Kit, login: Login, account: Account, password: str, address: str) -> None:
    """Before something that a borrowed screen should not be enough for. Raises Refused and TooMany."""
    await _count(kit, account, address, "password", login.id)
    if not await verify_password(login.password_hash, password):
        await note(kit, account, "sign-in-failed", address)
        raise Refused("wrong-password", "Your present password is not right.")
    await tries.forgive(kit.documents, "password", login.id)
    await tries.take_back(kit.documents, "address", address)


async def set_password(
    kit: Kit, settings: PortalSettings, login: Login, account: Account, password: str, *, tell: bool = True
) -> None:
    """Voids every link given out before. Raises Refused for a weak one, Stale when it changed meanwhile."""
    check_password(
        password, account.name, login.email, kit.site.name, breached=settings.breached_passwords_file
    )
    login.password_hash = await hash_password(password)
    login.password_at = kit.clock()
    mails = [_letter(kit, "password-changed", login, account)] if tell else []
    await note(kit, account, "password-changed")
    try:
        await kit.documents.save(LOGINS, login, mails)
    except VersionConflict:
        raise Stale("changed-meanwhile", "The password was changed at the same time elsewhere.") from None
    await tries.forgive(kit.documents, "password", login.id)


async def drop_second_factor(kit: Kit, by: Account, login: Login, account: Account) -> None:
    secondfactor.turn_off(login)
    await note(kit, by, "second-factor-off", about=account.id)
    await kit.documents.save(LOGINS, login, [_letter(kit, "second-factor-off", login, account)])
    await tries.forgive(kit.documents, "code", login.id)


def must_have_second_factor(settings: PortalSettings, account: Account) -> bool:
    """`account` as its groups make it."""
    if settings.second_factor == "all":
        return True
    return settings.second_factor == "staff" and not _STAFF.isdisjoint(account.roles)


async def unlock(kit: Kit, login: Login) -> None:
    for what in ("password", "code"):
        await tries.forgive(kit.documents, what, login.id)


def _letter(kit: Kit, kind: Letter, login: Login, account: Account):  # type: ignore[no-untyped-def]
    to = Person(name=account.name, email=login.email, account_id=account.id)
    return letter(kit, kind, to, account.language, path="/account", account_id=account.id)


async def _count(kit: Kit, account: Account | None, address: str, what: str, key: str) -> None:
    """Raises TooMany while it is locked. The lock was entered when it began: what is tried then is not, or
    whoever tries could fill the trail."""
    limit = tries.PASSWORD if what == "password" else tries.CODE
    for one, *tried in ((tries.ADDRESS, "address", address), (limit, what, key)):
        if await tries.count_try(kit.documents, kit.clock(), one, *tried):
            await note(kit, account or NOBODY, "locked", address)


async def note(kit: Kit, who: Account, action: str, detail: str = "", *, about: str | None = None) -> None:
    await changing(
        kit,
        who,
        kit.clock(),
        action=action,
        kind="account",
        object_id=who.id if about is None else about,
        detail=detail,
    )


async def _save(kit: Kit, login: Login) -> None:
    """Only the time of the last visit and a stronger hash are lost when somebody saves at once."""
    try:
        await kit.documents.save(LOGINS, login)
    except VersionConflict:
        fresh = await kit.documents.get(LOGINS, login.id)
        if fresh is None:
            raise Refused("sign-in-failed", "The address or the password is not right.") from None
        login.version = fresh.version
        for name in type(fresh).model_fields:
            setattr(login, name, getattr(fresh, name))
