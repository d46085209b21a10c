"""The API of one-time upload links: for staff, and for the hospital's own systems."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from kit.errors import NotFound
from kit.identity import Principal, Role
from kit.service import Caller, Kit
from services.portal import requesting


class NewLink(BaseModel):
    label: str = Field(max_length=100, description="who is to send; never a patient's name")
    email: str = Field(default="", max_length=254, description="empty: you hand the link over yourself")
    patient: str = Field(default="", max_length=200, description="a hint, shown after the PIN alone")
    purpose: str = Field(default="", max_length=200)
    note: str = Field(default="", max_length=1000)
    days: int = Field(default=14, ge=1, le=60)
    pin: bool = True
    language: Literal["en", "de"] = "en"


class LinkView(BaseModel):
    """`state`: waiting, opened, sending, sent, withdrawn, expired."""

    id: str
    label: str
    email: str
    made_by: str
    created_at: datetime
    expires_at: datetime
    state: str
    submission: str


class MadeLink(LinkView):
    """`url` and `pin` are given this once and kept nowhere."""

    url: str
    pin: str


def routes(kit: Kit) -> APIRouter:
    router = APIRouter(prefix="/api/upload-links", tags=["submissions"])

    @router.post("", status_code=201)
    async def make(new: NewLink, who: Principal = Caller) -> MadeLink:
        """Ask somebody without an account for images. Mails the link, never the PIN."""
        made = await requesting.ask(kit, who, requesting.Ask(**new.model_dump()))
        url = f"{kit.site.url.rstrip('/')}{made.path}"
        return MadeLink(**_view((made.grant, None)).model_dump(), url=url, pin=made.pin)

    @router.get("")
    async def links(who: Principal = Caller) -> list[LinkView]:
        """Own links, newest first; to who sees all: everybody's."""
        who.require(Role.VIEW)
        return [_view(pair) for pair in await requesting.asked_by(kit, who)]

    @router.get("/{link_id}")
    async def link(link_id: str, who: Principal = Caller) -> LinkView:
        who.require(Role.VIEW)
        found = [pair for pair in await requesting.asked_by(kit, who) if pair[0].id == link_id]
        if not found:
            raise NotFound("no-link", "There is no such link.")
        return _view(found[0])

    @router.delete("/{link_id}", status_code=204)
    async def withdraw(link_id: str, who: Principal = Caller) -> Response:
        """It stops working at once, also where it is open."""
        who.require(Role.VIEW)
        await requesting.revoke(kit, who, link_id)
        return Response(status_code=204)

    def _view(pair: requesting.Link) -> LinkView:
        grant, sent = pair
        return LinkView(
            id=grant.id,
            label=grant.label,
            email=grant.email,
            made_by=grant.made_by_name,
            created_at=grant.created_at,
            expires_at=grant.expires_at,
            state=requesting.state_of(grant, sent, kit.clock()),
            submission=sent.id if sent is not None else "",
        )

    return router
