"""The pages of administration. Every one of them asks for the right to administer."""

from fastapi import APIRouter

from kit.service import Kit
from services.portal.pages.admin import (
    accounts,
    destinations,
    groups,
    operation,
    overview,
    requests,
    storage,
    trail,
)
from services.portal.retention import Retention
from services.portal.settings import PortalSettings


def routes(kit: Kit, settings: PortalSettings, retention: Retention) -> APIRouter:
    router = APIRouter(tags=["pages"], include_in_schema=False, prefix="/admin")
    overview.add(router, kit, settings)
    accounts.add(router, kit, settings)
    groups.add(router, kit)
    requests.add(router, kit)
    destinations.add(router, kit)
    operation.add(router, kit)
    storage.add(router, kit, retention)
    trail.add(router, kit)
    return router
