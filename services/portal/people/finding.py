"""Finding accounts and departments by what people type, however many there are.

Beside each account lies an entry with the words it is found by. Entries are written after what they are
about; `catch_up` brings to date what a crash, an earlier version or the settings file left behind.
"""

from collections.abc import Iterable
from typing import TypeVar

from kit.documents.port import Collection, Doc, Has, HasPrefix, Page
from kit.documents.walking import each
from kit.errors import VersionConflict
from kit.identity import ACCOUNTS, Account, Principal, Role
from kit.ids import derived_id
from kit.service import Kit
from services.portal.people.models import LOGINS
from services.portal.rules.search import words

_PAGE = 500
_MOST_WORDS = 8
_ALL = 1 << 40
KINDS = ("people", "machines", "out")


class Entry(Doc):
    """`id` is the account's. `name` is what lists are in order of. `tokens` are words; `@` before a word says
    that senders may find it by this; `=…;` are facts."""

    name: str
    tokens: list[str]


class Place(Doc):
    """A department that somebody who receives is, or was, in. Id derives from its name."""

    name: str
    tokens: list[str]


Kept = TypeVar("Kept", Entry, Place)
ENTRIES = Collection("account-entries", Entry, fields=("name",), members="tokens")
PLACES = Collection("department-entries", Place, fields=("name",), members="tokens")


def key_of(department: str) -> str:
    return " ".join(department.casefold().split())


def entry_of(account: Account, *, signs_in: bool) -> Entry:
    """`account` is as its groups make it. Pure."""
    public = {word for text in (account.name, *account.departments) for word in words(text)}
    others = (account.email or "", account.origin, *account.ae_titles)
    found = public | {word for text in others for word in words(text)}
    facts = {KINDS[0] if signs_in else KINDS[1], *(f"role:{role}" for role in account.roles)}
    if account.disabled:
        facts.add(KINDS[2])
    if receives(account) and (signs_in or account.email or account.departments):
        facts |= {"receives", *(f"in:{key_of(name)}" for name in account.departments)}
    tokens = [*found, *(f"@{word}" for word in public), *(f"={fact};" for fact in facts)]
    return Entry(id=account.id, name=" ".join(words(account.name)), tokens=sorted(tokens))


def receives(account: Account) -> bool:
    return not account.disabled and Principal(account).may(Role.VIEW)


async def note(kit: Kit, stored: Account) -> None:
    """It was made or changed, or may sign in from now on."""
    account = await kit.identity.effective(stored)
    signs_in = await kit.documents.count(LOGINS, {"account_id": account.id}, cap=1) > 0
    await _bring(kit, ENTRIES, entry_of(account, signs_in=signs_in))
    for name in account.departments if receives(account) else ():
        tokens = sorted(words(name))
        await _bring(kit, PLACES, Place(id=derived_id("department", key_of(name)), name=name, tokens=tokens))


async def _bring(kit: Kit, collection: Collection[Kept], wanted: Kept) -> None:
    """Somebody else who saves at once noted the account as it is by then."""
    known = await kit.documents.get(collection, wanted.id)
    if known is not None:
        if known.tokens == wanted.tokens and known.name == wanted.name:
            return
        wanted.version = known.version
    try:
        await kit.documents.save(collection, wanted)
    except VersionConflict:
        return


async def catch_up(kit: Kit) -> None:
    async for account in each(kit.documents, ACCOUNTS, limit=_PAGE):
        await note(kit, account)


async def _none_missing(kit: Kit) -> None:
    if await kit.documents.count(ACCOUNTS, cap=_ALL) != await kit.documents.count(ENTRIES, cap=_ALL):
        await catch_up(kit)


async def find_accounts(
    kit: Kit, asked: str, facts: Iterable[str], *, limit: int, cursor: str | None = None
) -> Page[Account]:
    """In order of names: those of which every word asked for begins one, and for which every fact holds
    (a kind, or `role:` and a right)."""
    await _none_missing(kit)
    prefixes = [*words(asked)[:_MOST_WORDS], *(f"={fact};" for fact in facts)]
    where = {"tokens": HasPrefix(*prefixes)} if prefixes else {}
    page = await kit.documents.find(ENTRIES, where, order="name", limit=limit, cursor=cursor)
    found = [await kit.documents.get(ACCOUNTS, entry.id) for entry in page.items]
    return Page([account for account in found if account is not None], page.cursor)


async def find_recipients(kit: Kit, asked: str, *, limit: int) -> list[Account]:
    """People, not programs: with a sign-in, an email address or a department. By name and department alone: a
    sender must not learn whose address this is."""
    await _none_missing(kit)
    prefixes = [f"@{word}" for word in words(asked)[:_MOST_WORDS]]
    where = {"tokens": HasPrefix(*prefixes, "=receives;")}
    page = await kit.documents.find(ENTRIES, where, order="name", limit=limit)
    found = [await kit.documents.get(ACCOUNTS, entry.id) for entry in page.items]
    known = [await kit.identity.effective(account) for account in found if account is not None]
    return [account for account in known if receives(account)]


async def find_departments(kit: Kit, asked: str, *, limit: int) -> list[str]:
    """Those in which there is somebody who receives."""
    await _none_missing(kit)
    wanted = words(asked)[:_MOST_WORDS]
    where = {"tokens": HasPrefix(*wanted)} if wanted else {}
    page = await kit.documents.find(PLACES, where, order="name", limit=4 * limit)
    found = []
    for place in page.items:
        if await kit.documents.count(ENTRIES, {"tokens": Has(f"=in:{key_of(place.name)};")}, cap=1):
            found.append(place.name)
    return found[:limit]
