"""Giving an account to somebody who signs in, and taking care of how they do."""

from kit.errors import Refused, VersionConflict
from kit.identity import Account, Principal
from kit.service import Kit
from services.portal.accounts import record
from services.portal.people.finding import note
from services.portal.people.links import send_link
from services.portal.people.models import LOGINS, Login, login_id
from services.portal.settings import PortalSettings


async def login_of(kit: Kit, account_id: str) -> Login | None:
    page = await kit.documents.find(LOGINS, {"account_id": account_id}, limit=1)
    return page.items[0] if page.items else None


async def invite(kit: Kit, settings: PortalSettings, by: Principal, account: Account) -> str:
    """Mails a link with which its person chooses a password. Returns the link's path, for handing it over
    by other means. Raises Refused when the address is missing or somebody else's."""
    if not account.email:
        raise Refused("no-address", "An email address is needed: it is what one signs in with.")
    if account.disabled:
        raise Refused("disabled", "This account is shut out. Let it in again first.")
    login = await login_of(kit, account.id)
    if login is None:
        login = Login(id=login_id(account.email), account_id=account.id, email=account.email)
    login.invited_at = kit.clock()
    await record(kit, by, "invited", "account", account.id)
    try:
        await kit.documents.save(LOGINS, login)
    except VersionConflict:
        raise _taken() from None
    await note(kit, account)
    return await send_link(kit, settings, "reset" if login.password_hash else "invite", account, login)


async def check_address(kit: Kit, account_id: str, email: str) -> None:
    """Raises Refused when somebody else signs in under this address."""
    other = await kit.documents.get(LOGINS, login_id(email))
    if other is not None and other.account_id != account_id:
        raise _taken()


async def move_login(kit: Kit, account_id: str, email: str) -> None:
    """The person signs in under another address from now on, with the same password. The second factor
    is bound to the address and starts anew. Raises Refused when the address is somebody else's."""
    login = await login_of(kit, account_id)
    if login is None or login.id == login_id(email):
        return
    moved = login.model_copy(update={"id": login_id(email), "email": email, "totp": "", "recovery": []})
    moved.version = 0
    try:
        await kit.documents.save(LOGINS, moved)
    except VersionConflict:
        raise _taken() from None
    await kit.documents.delete(LOGINS, login)


def _taken() -> Refused:
    return Refused("address-taken", "Somebody else signs in under this address already.")
