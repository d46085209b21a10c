"""The first page of administration: what needs somebody, at a glance."""

import shutil
from datetime import timedelta

from fastapi import APIRouter, Request, Response

from kit.destinations import DESTINATIONS
from kit.documents.port import Range
from kit.identity import ACCOUNTS, Principal
from kit.service import Kit
from services.portal.models import AUDIT
from services.portal.pages.admin.desk import Administrator, show
from services.portal.pages.frame import language_of
from services.portal.people.models import LOGINS
from services.portal.settings import PortalSettings
from services.portal.texts.bycode import sayings_for_scripts

_DAY = timedelta(days=1)


def add(router: APIRouter, kit: Kit, settings: PortalSettings) -> None:
    documents = kit.documents

    @router.get("")
    async def overview(request: Request, who: Principal = Administrator) -> Response:
        since = {"time": Range(low=kit.clock() - _DAY)}
        disk = shutil.disk_usage(kit.scratch)
        return await show(
            request,
            who,
            "overview",
            accounts=await documents.count(ACCOUNTS),
            people=await documents.count(LOGINS),
            destinations=await documents.count(DESTINATIONS),
            letters=len(await kit.bus.dead_letters(limit=500)),
            behind=sum((await kit.bus.lag()).values()),
            failures=await documents.count(AUDIT, {"action": "sign-in-failed", **since}),
            lockouts=await documents.count(AUDIT, {"action": "locked", **since}),
            free=disk.free,
            total=disk.total,
            second_factor=settings.second_factor,
            texts=sayings_for_scripts(language_of(request, who)),
        )
