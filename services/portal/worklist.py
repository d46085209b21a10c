"""Finding the cases of the inbox: by state, sender, recipient, modality, age and words. Every query
runs along an index, so it stays quick however many cases there are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode

from kit.access import AUDIENCES, Audience, sees_all, visible
from kit.documents.port import Has, HasPrefix, In, Range, Scalar
from kit.identity import Principal
from kit.service import Kit
from services.portal.models import CASES, HELD, Case, Held
from services.portal.rules.search import words
from services.portal.rules.worklist import AGES, TABS, WAITING, age_bounds, tab_conditions

PAGE = 50
COUNTED = 1000
_RECIPIENTS = 5000

Condition = Scalar | HasPrefix | In | Range
COUNTS = ("open", "unmatched", "review", "flagged", "arrived", "approved", "failed", "asked")


@dataclass(frozen=True)
class Filter:
    """What the inbox is narrowed to. Everything but `q` may stand in an address."""

    tab: str = "open"
    sender: str = ""
    recipient: str = ""
    modality: str = ""
    age: str = ""
    q: str = ""

    @classmethod
    def read(cls, given: Mapping[str, object]) -> "Filter":
        """From a query or a form; what makes no sense is left out."""

        def text(name: str) -> str:
            value = given.get(name)
            return value.strip()[:200] if isinstance(value, str) else ""

        return cls(
            tab=text("tab") if text("tab") in TABS else "open",
            sender=text("sender")[:64],
            recipient=text("recipient"),
            modality=text("modality")[:16],
            age=text("age") if text("age") in AGES else "",
            q=text("q"),
        )

    @classmethod
    def parse(cls, query: str) -> "Filter":
        return cls.read(dict(parse_qsl(query[:1000])))

    @property
    def query(self) -> str:
        parts = {
            "tab": self.tab if self.tab != "open" else "",
            "sender": self.sender,
            "recipient": self.recipient,
            "modality": self.modality,
            "age": self.age,
        }
        return urlencode({name: value for name, value in parts.items() if value})

    def to(self, tab: str) -> str:
        """The address of another tab under the same filter."""
        query = replace(self, tab=tab).query
        return f"/?{query}" if query else "/"


@dataclass(frozen=True)
class Rows:
    cases: list[Case]
    audiences: dict[str, Audience]
    held: dict[str, Held]
    cursor: str | None


async def rows(kit: Kit, who: Principal, asked: Filter, overdue: timedelta, cursor: str | None) -> Rows:
    """A page, newest first; its cursor goes on."""
    where = await _narrowed(kit, who, asked, overdue)
    page = await kit.documents.find(
        CASES, where, order="arrived_at", descending=True, limit=PAGE, cursor=cursor
    )
    return await beside(kit, [case for case in page.items if case.study is not None], page.cursor)


async def beside(kit: Kit, cases: list[Case], cursor: str | None = None) -> Rows:
    """The cases with what other collections know of them."""
    ids = [case.id for case in cases]
    if not ids:
        return Rows([], {}, {}, cursor)
    audiences = await kit.documents.find(AUDIENCES, {"id": In(ids)}, limit=len(ids))
    held = await kit.documents.find(HELD, {"id": In(ids)}, limit=len(ids))
    return Rows(cases, {a.id: a for a in audiences.items}, {h.id: h for h in held.items}, cursor)


async def among(kit: Kit, who: Principal, ids: Iterable[str]) -> Rows:
    """Those of these studies that somebody may see."""
    wanted, scope = set(ids), (await _scope(kit, who)).get("id")
    if isinstance(scope, In):
        wanted &= {str(study_id) for study_id in scope.values}
    if not wanted:
        return Rows([], {}, {}, None)
    page = await kit.documents.find(CASES, {"id": In(sorted(wanted))}, limit=len(wanted))
    return await beside(kit, [case for case in page.items if case.study is not None])


async def first_ids(kit: Kit, who: Principal, asked: Filter, overdue: timedelta) -> list[str]:
    """The studies of the first page, newest first."""
    found = await kit.documents.project(
        CASES,
        ["id"],
        await _narrowed(kit, who, asked, overdue),
        order="arrived_at",
        descending=True,
        limit=PAGE,
    )
    return [str(row["id"]) for row in found]


async def counts(kit: Kit, who: Principal) -> dict[str, int]:
    """How many stand under each tab, counting no further than COUNTED."""
    scope = await _scope(kit, who)
    return {
        tab: await kit.documents.count(CASES, {**scope, **tab_conditions(tab)}, cap=COUNTED) for tab in COUNTS
    }


async def waiting(kit: Kit, who: Principal) -> int:
    """How many wait for a person here: the number in the navigation."""
    if not sees_all(who):
        return 0
    total = 0
    for state in WAITING:
        total += await kit.documents.count(CASES, {"state": state.value}, cap=COUNTED)
    return total


async def oldest(kit: Kit, who: Principal) -> Case | None:
    """What waits longest for a person."""
    if not sees_all(who):
        return None
    first: list[Case] = []
    for state in WAITING:
        page = await kit.documents.find(CASES, {"state": state.value}, order="arrived_at", limit=1)
        first += page.items
    return min((c for c in first if c.arrived_at is not None), key=lambda c: str(c.arrived_at), default=None)


async def _scope(kit: Kit, who: Principal) -> dict[str, Condition]:
    return {} if sees_all(who) else {"id": In((await visible(kit.documents, who)).ids)}


async def _narrowed(kit: Kit, who: Principal, asked: Filter, overdue: timedelta) -> dict[str, Condition]:
    where = await _where(kit, who, asked, overdue)
    if texts := words(asked.q):
        where["tokens"] = HasPrefix(*texts)
    return where


async def _where(kit: Kit, who: Principal, asked: Filter, overdue: timedelta) -> dict[str, Condition]:
    where = await _scope(kit, who)
    where.update(tab_conditions(asked.tab))
    if asked.sender:
        where["sender_id"] = asked.sender
    if asked.modality:
        where["modality"] = asked.modality
    low, high = age_bounds(asked.age, kit.clock(), overdue)
    if low is not None or high is not None:
        where["arrived_at"] = Range(low, high)
    if asked.age == "overdue" and "state" not in where:
        where["state"] = In([state.value for state in WAITING])
    if asked.recipient:
        rows = await kit.documents.project(
            AUDIENCES,
            ["id"],
            {"keys": Has(asked.recipient)},
            order="arrived_at",
            descending=True,
            limit=_RECIPIENTS,
        )
        ids = {str(row["id"]) for row in rows}
        scope = where.get("id")
        where["id"] = In(sorted(ids & set(scope.values) if isinstance(scope, In) else ids))
    return where
