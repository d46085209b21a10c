"""The first start: an administrator with a token, and what the settings file declares."""

from collections.abc import Sequence
from contextlib import suppress

from kit.destinations import DESTINATIONS, Destination
from kit.documents.port import Collection, D
from kit.errors import AnteroomError, Unauthorized, VersionConflict
from kit.identity import ACCOUNTS, TOKENS, Account, Role, Token, token_id
from kit.ids import secret_token
from kit.service import Kit
from services.portal.accounts import account_id
from services.portal.handlers import destination_names
from services.portal.people.links import welcome_link
from services.portal.rules.accounts import check_account, check_destination

ADMIN = "admin"
_LABEL = "admin.token"
_SHORTEST = 32


class TokenTooShort(AnteroomError):
    """The administrator's token that the settings give could be guessed."""


async def ensure_admin(kit: Kit, known: str | None = None) -> str | None:
    """Make the account `admin` when it is not there, and a token for it unless `known` is a valid
    one. Returns the new secret, which the caller keeps in a file of mode 0600; None when `known`
    is good. A token file that was lost is replaced: who can write the data directory owns it."""
    admin = await _admin(kit)
    if known:
        try:
            await kit.identity.by_token(known)
            return None
        except Unauthorized:
            pass
    secret = secret_token()
    await _let_in(kit, admin, secret)
    return secret


async def take_admin_token(kit: Kit, secret: str) -> None:
    """Make this the token of the account `admin`; what a start gave it before counts no more. Several
    processes may do so at once. Raises TokenTooShort."""
    if len(secret) < _SHORTEST:
        raise TokenTooShort(
            f"The administrator's token has {len(secret)} characters, which can be guessed. Give "
            f"process.admin_token at least {_SHORTEST} random ones: openssl rand -hex 32."
        )
    admin = await _admin(kit)
    if await kit.documents.get(TOKENS, token_id(secret)) is None:
        with suppress(VersionConflict):
            await _let_in(kit, admin, secret)
    for old in (await kit.documents.find(TOKENS, {"account_id": admin.id}, limit=1000)).items:
        if old.label == _LABEL and old.id != token_id(secret):
            await kit.documents.delete(TOKENS, old)


async def _admin(kit: Kit) -> Account:
    wanted = Account(id=account_id(ADMIN), name=ADMIN, roles=[Role.ADMIN])
    found = await kit.documents.get(ACCOUNTS, wanted.id)
    if found is not None:
        return found
    try:
        return await kit.documents.save(ACCOUNTS, wanted)
    except VersionConflict:
        return await _admin(kit)


async def _let_in(kit: Kit, admin: Account, secret: str) -> None:
    token = Token(id=token_id(secret), account_id=admin.id, label=_LABEL, created_at=kit.clock())
    await kit.documents.save(TOKENS, token)


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
