"""The first start: an administrator with a token, and what the settings file declares."""

from collections.abc import Sequence

from kit.destinations import DESTINATIONS, Destination
from kit.documents.port import Collection, D
from kit.errors import Unauthorized
from kit.identity import ACCOUNTS, TOKENS, Account, Role, Token, token_id
from kit.ids import secret_token
from kit.service import Kit
from services.portal.accounts import account_id
from services.portal.handlers import destination_names
from services.portal.people.links import welcome_link
from services.portal.rules.accounts import check_account, check_destination

ADMIN = "admin"


async def ensure_admin(kit: Kit, known: str | None = None) -> str | None:
    """Make the account `admin` when it is not there, and a token for it unless `known` is a valid
    one. Returns the new secret, which the caller keeps in a file of mode 0600; None when `known`
    is good. A token file that was lost is replaced: who can write the data directory owns it."""
    admin = await kit.documents.get(ACCOUNTS, account_id(ADMIN))
    if admin is None:
        admin = Account(id=account_id(ADMIN), name=ADMIN, roles=[Role.ADMIN])
        await kit.documents.save(ACCOUNTS, admin)
    if known:
        try:
            await kit.identity.by_token(known)
            return None
        except Unauthorized:
            pass
    secret = secret_token()
    token = Token(id=token_id(secret), account_id=admin.id, label="admin.token", created_at=kit.clock())
    await kit.documents.save(TOKENS, token)
    return secret


async def first_person(kit: Kit) -> str | None:
    """The path of the page that makes the first administrator; None once somebody can sign in."""
    return await welcome_link(kit)


async def seed(kit: Kit, accounts: Sequence[Account] = (), destinations: Sequence[Destination] = ()) -> None:
    """Bring the accounts and destinations of the settings file to what it says; others stay.

    Raises Refused for a declaration that can't be.
    """
    for destination in destinations:
        check_destination(destination)
        await _bring(kit, DESTINATIONS, destination)
    names = await destination_names(kit)
    for account in accounts:
        check_account(account, names)
        await _bring(kit, ACCOUNTS, account)


async def _bring(kit: Kit, collection: Collection[D], declared: D) -> None:
    wanted = declared.model_copy()
    stored = await kit.documents.get(collection, wanted.id)
    if stored is not None:
        if stored.model_dump(exclude={"causes"}) == wanted.model_dump(exclude={"causes"}):
            return
        wanted.version = stored.version
    await kit.documents.save(collection, wanted)
