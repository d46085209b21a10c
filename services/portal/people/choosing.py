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
    """At most twelve: what is called just so, then departments. A sender's value is the account's id; that
    of others is `account:` with it, or `department:` with its key (recipients) or its name (colleagues)."""
    if what == "senders":
        page = await find_accounts(kit, asked, [] if asked.strip() else ["role:send"], limit=_SHOWN)
        return [Choice(one.id, one.name, one.origin if one.origin != one.id else "") for one in page.items]
    places = await find_departments(kit, asked, limit=_SHOWN)
    people = await find_recipients(kit, asked, limit=_SHOWN)
    found = [Choice(f"department:{_named(what, name)}", name, department=True) for name in places]
    found += [Choice(f"account:{one.id}", one.name, ", ".join(one.departments[:3])) for one in people]
    return sorted(found, key=lambda one: not _is_called(one, asked))[:_SHOWN]


async def only(kit: Kit, what: What, asked: str) -> Choice | None:
    """What was typed without choosing, where it is the whole name of one alone."""
    found = await choices(kit, what, asked) if asked.strip() else []
    exact = [one for one in found if _is_called(one, asked)]
    return exact[0] if len(exact) == 1 else None


async def name_of(kit: Kit, value: str) -> str:
    """Of a sender or recipient that was chosen; empty when there is none."""
    if value.startswith("department:"):
        department = value.removeprefix("department:")
        place = await kit.documents.get(PLACES, derived_id("department", key_of(department)))
        return place.name if place is not None else department
    key = value.removeprefix("account:")
    account = await kit.identity.account(key) if key and len(key) <= 64 else None
    return account.name if account is not None else ""


def _is_called(choice: Choice, asked: str) -> bool:
    return choice.name.casefold() == asked.strip().casefold()


def _named(what: What, department: str) -> str:
    return key_of(department) if what == "recipients" else department
