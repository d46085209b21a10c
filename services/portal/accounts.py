"""Making and changing accounts and groups: for the API, the pages and the first start alike."""

from collections.abc import Iterable, Sequence

from kit.documents.port import Collection, D
from kit.documents.walking import each
from kit.errors import NotFound, Refused, VersionConflict
from kit.identity import ACCOUNTS, GROUPS, Account, Group, Principal, Role
from kit.ids import derived_id, random_id
from kit.saying import say
from kit.service import Kit
from schemas.shapes import Said
from services.portal.audit import changing
from services.portal.handlers import destination_names
from services.portal.people.finding import note
from services.portal.people.sessions import end_all
from services.portal.rules.accounts import check_account, check_admin_left, check_group

_PAGE = 1000
_RIGHTS = {"roles", "groups", "departments", "disabled"}
"""Fields whose change signs the account out: what it may do now begins with a new session."""


def account_id(name: str) -> str:
    """Accounts made by name have one name each: the id derives from the name it was made under."""
    return derived_id("account", name.strip().casefold())


async def account_by(kit: Kit, text: str) -> Account:
    """By id or name. Raises NotFound."""
    account = await kit.documents.get(ACCOUNTS, text) if len(text) <= 64 else None
    if account is None:
        page = await kit.documents.find(ACCOUNTS, {"name": text.strip()}, limit=1)
        account = page.items[0] if page.items else None
    if account is None:
        raise NotFound("no-account", "There is no such account.")
    return account


async def all_accounts(kit: Kit) -> list[Account]:
    return await every(kit, ACCOUNTS, "name")


async def all_groups(kit: Kit) -> list[Group]:
    return await every(kit, GROUPS, "name")


async def every(kit: Kit, collection: Collection[D], order: str | None = None) -> list[D]:
    """All of a collection that people keep, so that it never grows beyond thousands."""
    return [found async for found in each(kit.documents, collection, order=order, limit=_PAGE)]


async def make_account(kit: Kit, by: Principal, account: Account) -> Account:
    """Raises Refused for what can't be and for a name or address that is taken."""
    account.name = account.name.strip()
    check_account(account, await destination_names(kit))
    if await kit.documents.get(ACCOUNTS, account.id) is not None or await _name_is_used(kit, account):
        raise _taken()
    await record(kit, by, "made", "account", account.id, roles(account.roles))
    try:
        made = await kit.documents.save(ACCOUNTS, account)
    except VersionConflict as error:
        raise _taken() from error
    await note(kit, made)
    return made


async def change_account(kit: Kit, by: Principal, before: Account, changed: Account) -> Account:
    """`changed` becomes what is stored, when it is still what `before` was read as. Raises Refused."""
    changed.name = changed.name.strip()
    check_account(changed, await destination_names(kit))
    if changed.name != before.name and await _name_is_used(kit, changed):
        raise _taken()
    administers = Role.ADMIN in (await kit.identity.effective(before)).roles
    if administers and not before.disabled:
        check_admin_left(await kit.identity.effective(changed), await _admins(kit))
    differing = sorted(
        name
        for name in type(before).model_fields
        if name not in {"version", "causes"} and getattr(before, name) != getattr(changed, name)
    )
    await record(kit, by, "changed", "account", before.id, fields(differing))
    changed.version = before.version
    await kit.documents.save(ACCOUNTS, changed)
    await note(kit, changed)
    if not _RIGHTS.isdisjoint(differing) and changed.id != by.account.id:
        await end_all(kit, changed.id)
    kit.identity.forget()
    return changed


async def save_group(kit: Kit, by: Principal, group: Group) -> Group:
    """A new one (version 0) or a changed one. Raises Refused."""
    if not group.id:
        group.id = random_id()
    group.name = group.name.strip()
    check_group(group, await destination_names(kit))
    others = [other for other in await all_groups(kit) if other.id != group.id]
    if any(other.name.casefold() == group.name.casefold() for other in others):
        raise Refused("name-taken", "There is a group of this name. Choose another, or change that one.")
    await _check_admins_without(kit, group, others)
    await record(kit, by, "changed" if group.version else "made", "group", group.id, roles(group.roles))
    await kit.documents.save(GROUPS, group)
    for member in await members_of(kit, group.id):
        await note(kit, member)
        if member.id != by.account.id:
            await end_all(kit, member.id)
    kit.identity.forget()
    return group


async def remove_group(kit: Kit, by: Principal, group: Group) -> None:
    """Raises Refused while it has members."""
    if await members_of(kit, group.id):
        raise Refused("in-use", "This group has members. Take them out first.")
    await record(kit, by, "removed", "group", group.id)
    await kit.documents.delete(GROUPS, group)


async def members_of(kit: Kit, group_id: str) -> list[Account]:
    return [account for account in await all_accounts(kit) if group_id in account.groups]


def fields(names: Iterable[str]) -> Said:
    """Which were changed, for the audit trail."""
    return say("entry-fields", "%(fields)s", fields=",".join(names))


def roles(given: Iterable[Role]) -> Said | str:
    names = ",".join(sorted(given))
    return say("entry-roles", "%(roles)s", roles=names) if names else ""


async def record(
    kit: Kit, who: Principal, action: str, kind: str, object_id: str, detail: Said | str = ""
) -> None:
    """Into the audit trail, before it is done."""
    await changing(
        kit, who.account, kit.clock(), action=action, kind=kind, object_id=object_id, detail=detail
    )


async def _admins(kit: Kit) -> list[Account]:
    found = [await kit.identity.effective(account) for account in await all_accounts(kit)]
    return [account for account in found if Role.ADMIN in account.roles and not account.disabled]


async def _check_admins_without(kit: Kit, group: Group, others: Sequence[Group]) -> None:
    """A group that gives up the right to administer must leave somebody who has it."""
    if Role.ADMIN in group.roles:
        return
    by_group = {other.id for other in others if Role.ADMIN in other.roles}
    for account in await all_accounts(kit):
        if not account.disabled and (Role.ADMIN in account.roles or not by_group.isdisjoint(account.groups)):
            return
    raise Refused("last-admin", "This is the last administrator: make another one first.")


async def _name_is_used(kit: Kit, account: Account) -> bool:
    page = await kit.documents.find(ACCOUNTS, {"name": account.name}, limit=2)
    return any(other.id != account.id for other in page.items)


def _taken() -> Refused:
    return Refused(
        "name-taken", "There is, or was, an account of this name. Choose another, or change that one."
    )
