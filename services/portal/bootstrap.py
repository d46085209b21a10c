"""The first start: an administrator with a token, and what the settings file declares."""

from collections.abc import Sequence

from pydantic import Field

from kit.destinations import DESTINATIONS, Destination
from kit.errors import Unauthorized
from kit.identity import ACCOUNTS, TOKENS, Account, Role, Token, token_id
from kit.ids import secret_token
from kit.service import Kit
from services.portal.admin import AccountFields, DestinationFields, account_id
from services.portal.handlers import destination_names
from services.portal.rules.accounts import check_account, check_destination

ADMIN = "admin"


class DeclaredAccount(AccountFields):
    """An [[accounts]] table of the settings file. `token_sha256` lets a machine in with a token that
    is kept elsewhere: the hexadecimal SHA-256 of its secret."""

    token_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")


class DeclaredDestination(DestinationFields):
    """A [[destinations]] table of the settings file."""

    name: str


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


async def seed(
    kit: Kit,
    accounts: Sequence[DeclaredAccount] = (),
    destinations: Sequence[DeclaredDestination] = (),
) -> None:
    """Bring the declared accounts and destinations to what the settings file says; others stay.

    Raises Refused for a declaration that can't be.
    """
    for declared in destinations:
        await _seed_destination(kit, declared)
    names = await destination_names(kit)
    for account in accounts:
        await _seed_account(kit, account, names)


async def _seed_destination(kit: Kit, declared: DeclaredDestination) -> None:
    stored = await kit.documents.get(DESTINATIONS, declared.name)
    wanted = Destination(id=declared.name, **declared.model_dump(exclude={"name"}))
    check_destination(wanted)
    if stored is None or stored.model_dump(exclude={"causes"}) != wanted.model_dump(exclude={"causes"}):
        wanted.version = stored.version if stored is not None else 0
        await kit.documents.save(DESTINATIONS, wanted)


async def _seed_account(kit: Kit, declared: DeclaredAccount, destinations: Sequence[str]) -> None:
    wanted = Account(id=account_id(declared.name), **declared.model_dump(exclude={"token_sha256"}))
    check_account(wanted, destinations)
    stored = await kit.documents.get(ACCOUNTS, wanted.id)
    if stored is None or stored.model_dump(exclude={"causes"}) != wanted.model_dump(exclude={"causes"}):
        wanted.version = stored.version if stored is not None else 0
        await kit.documents.save(ACCOUNTS, wanted)
    if declared.token_sha256 and await kit.documents.get(TOKENS, declared.token_sha256) is None:
        token = Token(
            id=declared.token_sha256, account_id=wanted.id, label="settings file", created_at=kit.clock()
        )
        await kit.documents.save(TOKENS, token)
