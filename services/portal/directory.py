"""Whom a sender can choose as recipient: people who may see images, and departments. No addresses."""

from datetime import datetime, timedelta

from fastapi import APIRouter, Query
from pydantic import BaseModel

from kit.documents.port import Collection, D
from kit.errors import Forbidden
from kit.identity import ACCOUNTS, GROUPS, Account, Principal, Role, with_groups
from kit.service import Caller, Kit
from services.portal.rules.search import words

_KEPT = timedelta(seconds=15)
_SHOWN = 12
_MOST = 5000


class Addressee(BaseModel):
    """Somebody to send to: a person by `account_id`, or a department by its name."""

    name: str
    account_id: str = ""
    department: str = ""
    title: str = ""


class Directory(BaseModel):
    people: list[Addressee]


class Book:
    """Everybody who may receive, read again after a few seconds."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._read_at: datetime | None = None
        self._entries: list[Addressee] = []

    async def entries(self) -> list[Addressee]:
        now = self._kit.clock()
        if self._read_at is None or not timedelta() <= now - self._read_at < _KEPT:
            self._entries = await self._read()
            self._read_at = now
        return self._entries

    async def _read(self) -> list[Addressee]:
        groups = {group.id: group for group in await _all(self._kit, GROUPS)}
        people: list[Addressee] = []
        departments: dict[str, str] = {}
        for stored in await _all(self._kit, ACCOUNTS):
            account = with_groups(stored, [groups[name] for name in stored.groups if name in groups])
            if not _receives(account):
                continue
            people.append(
                Addressee(name=account.name, account_id=account.id, title=", ".join(account.departments[:3]))
            )
            for name in account.departments:
                departments.setdefault(" ".join(name.casefold().split()), name)
        places = [Addressee(name=name, department=name) for name in departments.values()]
        return sorted(places, key=_by_name) + sorted(people, key=_by_name)


def found(entries: list[Addressee], asked: str) -> list[Addressee]:
    """Those of whose name every word asked for begins one; all for nothing asked. Pure."""
    wanted = words(asked)
    return [entry for entry in entries if _fits(wanted, f"{entry.name} {entry.title}")][:_SHOWN]


def _fits(wanted: list[str], text: str) -> bool:
    known = words(text)
    return all(any(word.startswith(part) for word in known) for part in wanted)


def routes(kit: Kit) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["submissions"])
    book = Book(kit)

    @router.get("/directory")
    async def directory(q: str = Query(default="", max_length=100), who: Principal = Caller) -> Directory:
        """To whom images may be sent. Not for those who came by a link: theirs are set already."""
        who.require(Role.SEND)
        if who.kind != "account":
            raise Forbidden("not-allowed", "A link is addressed already.")
        return Directory(people=found(await book.entries(), q))

    return router


def _receives(account: Account) -> bool:
    """People, not programs: with an email address or a department."""
    is_person = bool(account.email or account.departments)
    return is_person and not account.disabled and Principal(account).may(Role.VIEW)


async def _all(kit: Kit, collection: Collection[D]) -> list[D]:
    items: list[D] = []
    cursor = None
    while len(items) < _MOST:
        page = await kit.documents.find(collection, limit=1000, cursor=cursor)
        items += page.items
        cursor = page.cursor
        if cursor is None:
            break
    return items


def _by_name(entry: Addressee) -> str:
    return entry.name.casefold()
