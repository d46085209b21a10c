"""Whether somebody is there: pages report acts of the person before them, and ask how long it lasts."""

from math import ceil
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from kit.identity import Principal
from kit.service import Caller, Kit
from services.portal.pages.frame import tell


def routes(kit: Kit) -> APIRouter:
    router = APIRouter(tags=["pages"], include_in_schema=False)

    @router.get("/here")
    async def left(request: Request, who: Principal = Caller) -> Response:
        """How long the session lasts when nobody does anything (seconds), and what is said then."""
        return JSONResponse(_told(kit, request, who), headers={"cache-control": "no-store"})

    @router.post("/here")
    async def act(request: Request, who: Principal = Caller) -> Response:
        """Somebody clicked, typed or pointed: the session begins to wait anew (kit.service)."""
        return JSONResponse(_told(kit, request, who), headers={"cache-control": "no-store"})

    return router


def _told(kit: Kit, request: Request, who: Principal) -> dict[str, Any]:
    session = who.session
    if session is None:
        return {"left": None}
    minutes = ceil(session.idle_s / 60)
    account = who.kind == "account"
    onward = "Sign in and go on" if account else "Open the link that you were given again."
    return {
        "left": max(0.0, session.left(kit.clock()).total_seconds()),
        "idle": session.idle_s,
        "login": account,
        "title": tell(request, "This page is closed", who),
        "text": tell(request, "Nothing happened here for %(n)s min, so you were signed out.", who, n=minutes),
        "go": tell(request, onward, who),
        "warning": tell(
            request, "You are about to be signed out. Move the pointer or press a key to stay.", who
        ),
    }
