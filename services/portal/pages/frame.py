"""The frame of all pages: rendering with language, navigation and messages; redirects; error pages.

return await render(request, "inbox.html", studies=studies)
return see_other(request, "/account", "Saved.")
"""

import base64
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import orjson
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from kit.errors import Refused
from kit.identity import Principal, Role
from kit.service import Kit, visitor
from services.portal.pages import shown
from services.portal.pages.forms import csrf_of, is_secure, keep_cookie
from services.portal.pages.static import static_url
from services.portal.texts import LANGUAGES, chosen, translated, translated_count
from services.portal.texts.bycode import refusal, sentences

LANGUAGE_COOKIE = "anteroom_language"
_FLASH_COOKIE = "anteroom_flash"
_LINKED = ("/dicomweb/", "/files/", "/viewer/")
_PROGRAMS = ("/api/", "/dicomweb/", "/stow/", "/static/", "/viewer/", "/files/")

_IN_PATHS = ":/%#?=@[]!$&'()*+,;~"

Tone = Literal["ok", "wait", "stop", "info"]


@dataclass(frozen=True)
class Place:
    """An entry of the main navigation."""

    path: str
    name: str
    badge: int = 0


ROLE_NAMES = {
    Role.SEND: "send",
    Role.VIEW: "see what is addressed to them",
    Role.VIEW_ALL: "see all studies",
    Role.APPROVE: "approve",
    Role.ADMIN: "administer",
}
"""Each ends the sentence "may …"."""

Badge = Callable[[Kit, Principal], Awaitable[int]]
_badges: dict[str, Badge] = {}


def badge(path: str) -> Callable[[Badge], Badge]:
    """Registers what counts the things waiting behind an entry of the navigation."""

    def register(count: Badge) -> Badge:
        _badges[path] = count
        return count

    return register


async def render(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """A whole page, or a part of one for htmx: the template extends base.html or does not."""
    who = context.pop("who") if "who" in context else await visitor(request)
    language = language_of(request, who)
    kit: Kit = request.app.state.kit
    values = {
        "request_path": request.url.path,
        "site": kit.site,
        "who": who,
        "language": language,
        "languages": LANGUAGES,
        "csrf": csrf_of(request),
        "places": await _places(kit, who, language) if who is not None else [],
        "messages": _flashed(request),
        "now": kit.clock(),
        "Role": Role,
        **context,
    }
    page = HTMLResponse(
        _templates().get_template(template).render(values), status_code=status, headers=headers
    )
    page.headers["cache-control"] = "no-store"
    page.headers["content-language"] = language
    page.headers["vary"] = "Cookie, Accept-Language, HX-Request"
    keep_cookie(request, page)
    if _FLASH_COOKIE in request.cookies:
        page.delete_cookie(_FLASH_COOKIE, path="/")
    return page


def see_other(request: Request, path: str, message: str = "", tone: Tone = "ok") -> Response:
    """Go to another page of ours, which shows the message. `message` is a text of the catalogue."""
    path = quote(path, safe=_IN_PATHS)
    answer = Response(status_code=303, headers={"location": path})
    if request.headers.get("hx-request"):
        answer = Response(status_code=204, headers={"hx-redirect": path})
    if message:
        content = base64.urlsafe_b64encode(orjson.dumps([tone, message])).decode()
        answer.set_cookie(
            _FLASH_COOKIE,
            f"{content}.{_signed(request, content)}",
            max_age=60,
            path="/",
            httponly=True,
            samesite="lax",
            secure=is_secure(request),
        )
    return answer


def language_of(request: Request, who: Principal | None) -> str:
    """Chosen by hand, else the account's, else the browser's."""
    by_hand = request.cookies.get(LANGUAGE_COOKIE, "")
    if by_hand in LANGUAGES:
        return by_hand
    if who is not None and who.account.language in LANGUAGES:
        return who.account.language
    return chosen(request.headers.get("accept-language", ""))


def tell(request: Request, text: str, who: Principal | None = None, **values: object) -> str:
    """A text of the catalogue in the reader's language, for what no template says."""
    found = translated(language_of(request, who), text)
    return found % values if values else found


def local_path(text: str, otherwise: str = "/") -> str:
    """A path of this server to go on to; anything else that came along is not followed."""
    parts = urlsplit(text) if len(text) <= 1000 and text.isprintable() and "\\" not in text else None
    if parts is None or parts.scheme or parts.netloc or not text.startswith("/") or text.startswith("//"):
        return otherwise
    return text


async def error_page(request: Request, status: int, code: str, text: str) -> Response | None:
    """Says what happened and what to do to somebody who looks at pages. Who is not signed in signs in."""
    path = request.url.path
    partial = bool(request.headers.get("hx-request"))
    if path.startswith(_PROGRAMS) and not partial and not _follows_link(request):
        return None
    if not partial and "text/html" not in request.headers.get("accept", ""):
        return None
    if status == 401 and (partial or request.method in {"GET", "HEAD"}):
        came_from = urlsplit(request.headers.get("hx-current-url", "")).path if partial else path
        target = f"/login?next={quote(came_from)}" if came_from not in {"", "/"} else "/login"
        return (
            Response(status_code=401, headers={"hx-redirect": target})
            if partial
            else Response(status_code=303, headers={"location": target})
        )
    try:
        who = await visitor(request)
    except Refused:
        who = None
    if partial:
        sentence = refusal(language_of(request, who), code, text)
        return JSONResponse({"code": code, "error": sentence}, status_code=status)
    return await render(
        request,
        "error.html",
        status=status,
        who=who,
        code=code,
        text=refusal(language_of(request, who), code, text),
        error_status=status,
    )


def _follows_link(request: Request) -> bool:
    """Somebody opens a document or takes a study along, and a page is what they can read."""
    goes = request.headers.get("sec-fetch-mode") == "navigate"
    return goes and request.url.path.startswith(_LINKED)


async def _places(kit: Kit, who: Principal, language: str) -> list[Place]:
    found = []
    for path, name, role in (
        ("/", "Inbox", Role.VIEW),
        ("/send", "Send", Role.SEND),
        ("/submissions", "Sent", Role.SEND),
        ("/requests", "Request", Role.VIEW),
        ("/admin", "Admin", Role.ADMIN),
    ):
        if who.kind == "account" and who.may(role):
            count = await _badges[path](kit, who) if path in _badges else 0
            found.append(Place(path, translated(language, name), count))
    return found


def _flashed(request: Request) -> list[tuple[str, str]]:
    content, _, signature = request.cookies.get(_FLASH_COOKIE, "").partition(".")
    if not content or not hmac.compare_digest(signature, _signed(request, content)):
        return []
    tone, text = orjson.loads(base64.urlsafe_b64decode(content))
    return [(tone, text)]


def _signed(request: Request, content: str) -> str:
    kit: Kit = request.app.state.kit
    return hmac.new(kit.site_key, f"flash\x1f{content}".encode(), sha256).hexdigest()


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("services.portal", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_callables(_gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.globals["static"] = static_url
    environment.filters.update(
        when=_when,
        exact=pass_context(lambda c, time: shown.exact(c["language"], time, c["site"].zone)),
        day=pass_context(lambda c, text: shown.dicom_date(c["language"], text)),
        number=pass_context(lambda c, value: shown.number(value, c["language"])),
        said=pass_context(lambda c, words: shown.said(words, c["language"])),
        entry=pass_context(lambda c, found: shown.entry(found, c["language"])),
        refusal=pass_context(lambda c, error: refusal(c["language"], error.code, error.text)),
        named=pass_context(lambda c, name: sentences("names", c["language"]).get(name, name)),
        finding=pass_context(lambda c, found: shown.finding(found, c["language"])),
        person=shown.person_name,
        size=shown.size,
        initials=shown.initials,
        iso=shown.iso,
        in_names=lambda key, names: names.get(key, ""),
        role_name=pass_context(lambda c, role: translated(c["language"], ROLE_NAMES[role])),
        translate=pass_context(lambda c, text: translated(c["language"], text)),
    )
    return environment


@pass_context
def _gettext(context: Context, text: str) -> str:
    return translated(context["language"], text)


@pass_context
def _ngettext(context: Context, one: str, many: str, count: int) -> str:
    return translated_count(context["language"], one, many, count)


@pass_context
def _when(context: Context, time: datetime | None) -> str:
    """A time as people say it, the exact one on hover, in the browser's zone once when.js ran."""
    if time is None:
        return "–"
    language, zone = context["language"], context["site"].zone
    title = f"{shown.exact(language, time, zone)} {zone}"
    relative = shown.ago(language, time, context["now"])
    return Markup('<time datetime="{}" title="{}" data-when>{}</time>').format(
        shown.iso(time), title, relative
    )
