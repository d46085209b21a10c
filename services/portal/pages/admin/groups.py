"""Groups, and the policies of senders."""

from fastapi import APIRouter, Request, Response

from kit.errors import NotFound, Refused
from kit.identity import GROUPS, Group, Principal, Role
from kit.service import Kit
from services.portal.accounts import (
    account_by,
    all_accounts,
    all_groups,
    change_account,
    members_of,
    remove_group,
    save_group,
)
from services.portal.handlers import destination_names
from services.portal.pages.admin.desk import Administrator, lines_of, roles_of, show
from services.portal.pages.forms import read_form, text, texts
from services.portal.pages.frame import see_other


def add(router: APIRouter, kit: Kit) -> None:
    _group_routes(router, kit)
    _policy_routes(router, kit)


def _group_routes(router: APIRouter, kit: Kit) -> None:
    async def found(group_id: str) -> Group:
        group = await kit.documents.get(GROUPS, group_id) if len(group_id) <= 64 else None
        if group is None:
            raise NotFound("no-group", "There is no such group.")
        return group

    async def page(request: Request, who: Principal, group: Group, error: Refused | None = None) -> Response:
        members = await members_of(kit, group.id) if group.id else []
        names = await destination_names(kit)
        return await show(
            request, who, "group", error=error, group=group, members=members, destinations=names
        )

    @router.get("/groups")
    async def groups(request: Request, who: Principal = Administrator) -> Response:
        listed = await all_groups(kit)
        accounts = await all_accounts(kit)
        counts = {group.id: sum(group.id in account.groups for account in accounts) for group in listed}
        return await show(request, who, "groups", groups=listed, counts=counts)

    @router.get("/groups/new")
    async def new(request: Request, who: Principal = Administrator) -> Response:
        return await page(request, who, Group(id="", name=""))

    @router.get("/groups/{group_id}")
    async def group_page(request: Request, group_id: str, who: Principal = Administrator) -> Response:
        return await page(request, who, await found(group_id))

    @router.post("/groups/{group_id}")
    async def save(request: Request, group_id: str, who: Principal = Administrator) -> Response:
        """`new` makes one."""
        form = await read_form(request)
        group = Group(id="", name="") if group_id == "new" else await found(group_id)
        group.name = text(form, "name", 100)
        group.roles = roles_of(form)
        group.departments = lines_of(form, "departments")
        group.policy = "forward-certain" if text(form, "policy") == "forward-certain" else "review"
        group.destinations = texts(form, "destinations")
        try:
            await save_group(kit, who, group)
        except Refused as error:
            return await page(request, who, group, error)
        return see_other(request, "/admin/groups", "Saved.")

    @router.post("/groups/{group_id}/remove")
    async def remove(request: Request, group_id: str, who: Principal = Administrator) -> Response:
        await read_form(request)
        group = await found(group_id)
        try:
            await remove_group(kit, who, group)
        except Refused as error:
            return await page(request, who, group, error)
        return see_other(request, "/admin/groups", "The group is removed.")


def _policy_routes(router: APIRouter, kit: Kit) -> None:
    @router.get("/policies")
    async def policies(request: Request, who: Principal = Administrator) -> Response:
        rows = []
        for account in await all_accounts(kit):
            effective = await kit.identity.effective(account)
            if Role.SEND in effective.roles:
                rows.append((account, effective))
        return await show(
            request,
            who,
            "policies",
            rows=rows,
            groups=await all_groups(kit),
            destinations=await destination_names(kit),
        )

    @router.post("/policies")
    async def save_policy(request: Request, who: Principal = Administrator) -> Response:
        form = await read_form(request)
        before = await account_by(kit, text(form, "account", 64))
        policy = "forward-certain" if text(form, "policy") == "forward-certain" else "review"
        await change_account(kit, who, before, before.model_copy(update={"policy": policy}))
        return see_other(request, "/admin/policies", "Saved.")
