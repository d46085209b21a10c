"""Groups over HTTP: rights, departments and policy that several accounts have together."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from kit.errors import NotFound
from kit.identity import GROUPS, Group, Principal, Role
from kit.service import Caller, Kit
from services.portal.accounts import all_accounts, all_groups, remove_group, save_group


class GroupFields(BaseModel):
    """What an administrator sets; in a change, fields left out stay as they are."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(default="", max_length=100)
    roles: list[Role] = Field(default_factory=list)
    departments: list[str] = Field(default_factory=list, max_length=50)
    policy: Literal["review", "forward-certain"] = "review"
    destinations: list[str] = Field(default_factory=list, max_length=50)


class ShownGroup(GroupFields):
    id: str
    members: list[str] = Field(default_factory=list, description="ids of accounts")


def routes(kit: Kit) -> APIRouter:
    router = APIRouter(prefix="/api/groups", tags=["administration"])

    @router.get("")
    async def listed(who: Principal = Caller) -> list[ShownGroup]:
        """By name. Who is a member stands in the account: PATCH /api/accounts."""
        who.require(Role.ADMIN)
        accounts = await all_accounts(kit)
        return [
            _shown(group, [account.id for account in accounts if group.id in account.groups])
            for group in await all_groups(kit)
        ]

    @router.post("", status_code=201)
    async def make(fields: GroupFields, who: Principal = Caller) -> ShownGroup:
        who.require(Role.ADMIN)
        return _shown(await save_group(kit, who, Group(id="", **fields.model_dump())), [])

    @router.patch("/{group}")
    async def change(group: str, fields: GroupFields, who: Principal = Caller) -> ShownGroup:
        """Signs its members out: what they may do now begins with a new session."""
        who.require(Role.ADMIN)
        found = await group_by(kit, group)
        changes = fields.model_dump(exclude_unset=True)
        saved = await save_group(kit, who, found.model_copy(update=changes))
        accounts = await all_accounts(kit)
        return _shown(saved, [account.id for account in accounts if saved.id in account.groups])

    @router.delete("/{group}", status_code=204)
    async def remove(group: str, who: Principal = Caller) -> Response:
        who.require(Role.ADMIN)
        await remove_group(kit, who, await group_by(kit, group))
        return Response(status_code=204)

    return router


async def group_by(kit: Kit, text: str) -> Group:
    """By id or name. Raises NotFound."""
    found = await kit.documents.get(GROUPS, text) if len(text) <= 64 else None
    if found is None:
        wanted = text.strip().casefold()
        found = next((one for one in await all_groups(kit) if one.name.casefold() == wanted), None)
    if found is None:
        raise NotFound("no-group", "There is no such group.")
    return found


def _shown(group: Group, members: list[str]) -> ShownGroup:
    return ShownGroup(**group.model_dump(exclude={"causes"}), members=members)
