"""Requests for an account: each becomes an invitation, or is declined."""

from fastapi import APIRouter, Request, Response

from kit.errors import NotFound
from kit.identity import Principal
from kit.service import Kit
from services.portal.accounts import record
from services.portal.pages.admin.desk import Administrator, show
from services.portal.pages.forms import read_form
from services.portal.pages.frame import see_other
from services.portal.people.models import REGISTRATIONS


def add(router: APIRouter, kit: Kit) -> None:
    @router.get("/requests")
    async def requests(request: Request, who: Principal = Administrator) -> Response:
        waiting = await kit.documents.find(
            REGISTRATIONS, {"state": "waiting"}, order="created_at", descending=True, limit=200
        )
        return await show(request, who, "requests", requests=waiting.items)

    @router.post("/requests/{request_id}/decline")
    async def decline(request: Request, request_id: str, who: Principal = Administrator) -> Response:
        await read_form(request)
        registration = await kit.documents.get(REGISTRATIONS, request_id)
        if registration is None or registration.state != "waiting":
            raise NotFound("no-request", "This request was decided already.")
        await record(kit, who, "declined", "registration", registration.id)
        registration.state = "declined"
        registration.decided_by = who.account.id
        await kit.documents.save(REGISTRATIONS, registration)
        return see_other(request, "/admin/requests", "The request is declined. Nobody was told.")
