"""The pages of administration. Every one of them asks for the right to administer."""

from fastapi import APIRouter

from kit.service import Kit
from services.portal.pages.admin import accounts, destinations, groups, operation, overview, requests, trail
from services.portal.settings import PortalSettings


def routes(kit: Kit, settings: PortalSettings) -> APIRouter:
    router = APIRouter(tags=["pages"], include_in_schema=False, prefix="/admin")
    overview.add(router, kit, settings)
    accounts.add(router, kit, settings)
    groups.add(router, kit)
    requests.add(router, kit)
    destinations.add(router, kit)
    operation.add(router, kit)
    trail.add(router, kit)
    return router
