"""Choosing a sender, a recipient or a colleague out of however many there are, by what is typed."""

from dataclasses import dataclass
from typing import Literal

from kit.ids import derived_id
from kit.service import Kit
from services.portal.people.finding import (
    PLACES,
    find_accounts,
    find_departments,
    find_recipients,
    key_of,
)

What = Literal["senders", "recipients", "colleagues"]
_SHOWN = 12


@dataclass(frozen=True)
class Choice:
    """`value` is what a form sends; `beside` tells people of one name apart."""

    value: str
    name: str
    beside: str = ""
    department: bool = False


async def choices(kit: Kit, what: What, asked: str) -> list[Choice]:
    """At most twelve, departments first. A sender's value is the account's id; the others' is `account:` and
    that, or `department:` and its key (a recipient's) or its name (a colleague's)."""
    if what == "senders":
        page = await find_accounts(kit, asked, [] if asked.strip() else ["role:send"], limit=_SHOWN)
        return [Choice(one.id, one.name, one.origin if one.origin != one.id else "") for one in page.items]
    places = await find_departments(kit, asked, limit=_SHOWN)
    people = await find_recipients(kit, asked, limit=_SHOWN)
    found = [Choice(f"department:{_named(what, name)}", name, department=True) for name in places]
    found += [Choice(f"account:{one.id}", one.name, ", ".join(one.departments[:3])) for one in people]
    return found[:_SHOWN]


async def only(kit: Kit, what: What, asked: str) -> Choice | None:
    """What was typed without choosing, where it can mean one alone."""
    found = await choices(kit, what, asked) if asked.strip() else []
    exact = [one for one in found if one.name.casefold() == asked.strip().casefold()]
    return next(iter(exact or found), None) if len(exact or found) == 1 else None


async def name_of(kit: Kit, value: str) -> str:
    """Of a sender or recipient that was chosen; empty when there is none."""
    kind, _, key = value.rpartition(":")
    if kind == "department":
        place = await kit.documents.get(PLACES, derived_id("department", key_of(key)))
        return place.name if place is not None else key
    account = await kit.identity.account(key) if key and len(key) <= 64 else None
    return account.name if account is not None else ""


def _named(what: What, department: str) -> str:
    return key_of(department) if what == "recipients" else department
