"""Making, changing and removing destinations."""

from typing import TypeVar

from kit.destinations import DESTINATIONS, Destination
from kit.documents.port import Collection
from kit.errors import NotFound, Refused, VersionConflict
from kit.identity import ACCOUNTS, GROUPS, Account, Group, Principal
from kit.service import Kit
from services.portal.accounts import fields, record
from services.portal.rules.accounts import check_destination

Sending = TypeVar("Sending", Account, Group)


async def all_destinations(kit: Kit) -> list[Destination]:
    return (await kit.documents.find(DESTINATIONS, limit=1000)).items


async def destination_by(kit: Kit, name: str) -> Destination:
    """Raises NotFound."""
    destination = await kit.documents.get(DESTINATIONS, name) if len(name) <= 64 else None
    if destination is None:
        raise NotFound("no-destination", "There is no such destination.")
    return destination


async def make_destination(kit: Kit, by: Principal, destination: Destination) -> Destination:
    """Raises Refused."""
    check_destination(destination)
    await record(kit, by, "made", "destination", destination.id)
    try:
        return await kit.documents.save(DESTINATIONS, destination)
    except VersionConflict as error:
        raise Refused(
            "name-taken", "There is a destination of this name. Change it, or choose another."
        ) from error


async def change_destination(
    kit: Kit, by: Principal, before: Destination, changed: Destination
) -> Destination:
    """Raises Refused, VersionConflict."""
    changed.version = before.version
    check_destination(changed)
    differing = sorted(
        name
        for name in type(before).model_fields
        if name not in {"version", "causes"} and getattr(before, name) != getattr(changed, name)
    )
    await record(kit, by, "changed", "destination", before.id, fields(differing))
    return await kit.documents.save(DESTINATIONS, changed)


async def remove_destination(kit: Kit, by: Principal, destination: Destination) -> None:
    """Raises Refused while an account or a group sends to it."""
    if await _used(kit, ACCOUNTS, destination.id):
        raise Refused("in-use", "An account sends to this destination. Change the account first.")
    if await _used(kit, GROUPS, destination.id):
        raise Refused("in-use", "A group sends to this destination. Change the group first.")
    await record(kit, by, "removed", "destination", destination.id)
    await kit.documents.delete(DESTINATIONS, destination)


async def _used(kit: Kit, collection: Collection[Sending], name: str) -> bool:
    cursor = None
    while True:
        rows = await kit.documents.find(collection, limit=500, cursor=cursor)
        if any(name in row.destinations for row in rows.items):
            return True
        cursor = rows.cursor
        if cursor is None:
            return False
