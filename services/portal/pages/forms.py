"""Forms and what protects them: a token in each, and an origin that is ours.

The token is a keyed hash of the session's secret, or for somebody not signed in of a random cookie,
so it is worth nothing elsewhere and nothing has to be kept.
"""

import hmac
from hashlib import sha256

from fastapi import Request, Response
from starlette.datastructures import FormData

from kit.errors import Forbidden, TooLarge
from kit.ids import secret_token
from kit.service import require_same_origin
from kit.sessions import COOKIE

FIELD = "csrf"
_FORM_COOKIE = "anteroom_form"
_HEADER = "x-csrf-token"
_MOST_FIELDS = 500
_LARGEST = 1 << 20


def csrf_of(request: Request) -> str:
    """The token for a page. Made for a fresh cookie where there is none; keep_cookie() then sends it."""
    secret = request.cookies.get(COOKIE) or request.cookies.get(_FORM_COOKIE)
    if not secret:
        if not hasattr(request.state, "form_cookie"):
            request.state.form_cookie = secret_token()
        secret = request.state.form_cookie
    return _token(request, secret)


def keep_cookie(request: Request, response: Response) -> None:
    secret = getattr(request.state, "form_cookie", None)
    if secret is not None:
        response.set_cookie(
            _FORM_COOKIE, secret, path="/", httponly=True, samesite="lax", secure=is_secure(request)
        )


async def read_form(request: Request, *, files: int = 0) -> FormData:
    """The fields of a form that one of our own pages sent. Raises Forbidden otherwise, and TooLarge."""
    require_same_origin(request)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > _LARGEST:
        raise TooLarge(
            "too-large", "This is more than can be taken in here at once. Make it shorter, and try again."
        )
    form = await request.form(max_files=files, max_fields=_MOST_FIELDS)
    given = form.get(FIELD) or request.headers.get(_HEADER) or ""
    secrets = [request.cookies.get(COOKIE), request.cookies.get(_FORM_COOKIE)]
    if not isinstance(given, str) or not any(
        hmac.compare_digest(given.encode(), _token(request, secret).encode()) for secret in secrets if secret
    ):
        raise Forbidden(
            "stale-form", "This page was open for too long. Open it again and repeat what you did."
        )
    return form


def text(form: FormData, name: str, limit: int = 200) -> str:
    """One field, trimmed and cut; empty when it is missing or a file."""
    value = form.get(name)
    return value.strip()[:limit] if isinstance(value, str) else ""


def texts(form: FormData, name: str, most: int = 100) -> list[str]:
    """All values of a field that may come several times, such as ticked boxes."""
    return [value.strip()[:200] for value in form.getlist(name)[:most] if isinstance(value, str) and value]


def is_secure(request: Request) -> bool:
    return request.url.scheme == "https" or str(request.app.state.site.url).startswith("https://")


def _token(request: Request, secret: str) -> str:
    key: bytes = request.app.state.kit.site_key
    return hmac.new(key, f"form\x1f{secret}".encode(), sha256).hexdigest()
