"""The cookies of signing in: the session's, and the half-way one between password and second factor."""

from datetime import datetime, timedelta

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ValidationError

from kit.errors import PermanentError
from kit.seal import seal, unseal
from kit.service import Kit
from kit.sessions import COOKIE
from services.portal.pages.forms import is_secure

_HALF_COOKIE = "anteroom_half"
_HALF = timedelta(minutes=10)


class Half(BaseModel):
    """Somebody whose password was right. Sealed: it can't be read, made or changed outside."""

    login_id: str
    time: datetime
    next: str


def carry_session(request: Request, response: Response, secret: str) -> None:
    """Kept until the browser is closed; how long it works is decided here, not there."""
    _set(request, response, COOKIE, secret)
    response.delete_cookie(_HALF_COOKIE, path="/")


def drop_session(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/")


def carry_half(request: Request, response: Response, half: Half) -> None:
    kit: Kit = request.app.state.kit
    _set(request, response, _HALF_COOKIE, seal(kit.site_key, _HALF_COOKIE, half.model_dump_json()))


def half_of(request: Request) -> Half | None:
    """Who is half-way in; None when nobody is, or it took too long."""
    kit: Kit = request.app.state.kit
    sealed = request.cookies.get(_HALF_COOKIE, "")
    if not sealed:
        return None
    try:
        half = Half.model_validate(orjson.loads(unseal(kit.site_key, _HALF_COOKIE, sealed)))
    except (PermanentError, ValidationError):
        return None
    return half if kit.clock() - half.time < _HALF else None


def _set(request: Request, response: Response, name: str, value: str) -> None:
    response.set_cookie(name, value, path="/", httponly=True, samesite="lax", secure=is_secure(request))
