"""What the pages of administration share: who may see them, and their tabs."""

from dataclasses import dataclass
from typing import Any

from fastapi import Depends, Request, Response
from starlette.datastructures import FormData

from kit.errors import Refused
from kit.identity import Principal, Role
from kit.service import Caller, Kit
from services.portal.pages.forms import text, texts
from services.portal.pages.frame import badge, render
from services.portal.people.models import REGISTRATIONS


@dataclass(frozen=True)
class Tab:
    path: str
    name: str


TABS = (
    Tab("/admin", "Overview"),
    Tab("/admin/accounts", "Accounts"),
    Tab("/admin/groups", "Groups"),
    Tab("/admin/requests", "Requests"),
    Tab("/admin/policies", "Policies"),
    Tab("/admin/destinations", "Destinations"),
    Tab("/admin/feed", "Patient feed"),
    Tab("/admin/queues", "Queues"),
    Tab("/admin/storage", "Storage"),
    Tab("/admin/audit", "Audit trail"),
)


def _administrator(who: Principal = Caller) -> Principal:
    """Raises Forbidden."""
    who.require(Role.ADMIN)
    return who


Administrator = Depends(_administrator)


@badge("/admin")
async def requests_waiting(kit: Kit, who: Principal) -> int:
    return await kit.documents.count(REGISTRATIONS, {"state": "waiting"}, cap=100)


async def show(
    request: Request, who: Principal, template: str, *, error: Refused | None = None, **values: Any
) -> Response:
    """A page under the tabs; with an error it says so above what was typed."""
    kit: Kit = request.app.state.kit
    return await render(
        request,
        f"admin/{template}.html",
        status=error.status if error is not None else 200,
        who=who,
        tabs=TABS,
        error=error,
        waiting=await requests_waiting(kit, who),
        **values,
    )


def roles_of(form: FormData) -> list[Role]:
    known = {role.value for role in Role}
    return [Role(value) for value in texts(form, "roles") if value in known]


def lines_of(form: FormData, name: str) -> list[str]:
    """A field with one entry a line, or several parted by commas."""
    parts = text(form, name, 4000).replace(",", "\n").splitlines()
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))
