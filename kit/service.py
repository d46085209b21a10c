"""How a service is put together and what it gets. Only app.py modules build things."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict

from kit.bus.port import Bus
from kit.clock import Clock
from kit.documents.port import Documents
from kit.errors import Forbidden, Unauthorized
from kit.identity import Identity, Principal
from kit.objects.port import Objects
from kit.sessions import COOKIE
from kit.workers import Workers
from schemas.shapes import Said

_log = logging.getLogger(__name__)


class Site(BaseModel):
    """What all services know of the installation. Secrets are never logged."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = "Anteroom"
    url: str = "http://127.0.0.1:8080"
    zone: str = "UTC"
    default_issuer: str = ""
    """Issuer of patient ID of the hospital itself."""
    ae_title: str = "ANTEROOM"
    hosts: tuple[str, ...] = ()
    """Further names under which browsers reach this server, besides that of `url` and loopback."""


ErrorPage = Callable[[Request, int, str, str], Awaitable[Response | None]]


@dataclass(frozen=True)
class Kit:
    documents: Documents
    bus: Bus
    objects: Objects
    identity: Identity
    workers: Workers
    clock: Clock
    site: Site
    site_key: bytes
    """Secret of the installation, 32 bytes: opaque study ids derive from it."""
    scratch: Path
    """Local folder for spools; survives a restart of the process."""
    owner: str
    """This process, for leases."""
    exclusive: bool
    """True on the embedded adapters: no other process runs tasks."""


@dataclass
class Service:
    """What app.build(kit, settings) returns. Subscriptions are made on kit.bus while building."""

    name: str
    routers: list[APIRouter] = field(default_factory=list)
    start: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """Called in order after the bus has been given all subscriptions, before it starts."""
    stop: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """Called in order at shutdown: doors first (stop taking), then tasks."""
    doors: dict[str, Callable[[], str]] = field(default_factory=dict)
    """Where each door listens (host:port), known once started."""
    checks: dict[str, Callable[[], Awaitable[Said | None]]] = field(default_factory=dict)
    """Named readiness checks of neighbours and doors: None is well, else what is wrong and what to do."""
    needs_objects: bool = False
    """Without the object store its doors can take nothing, and none should lead to it."""
    gauges: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    """What brings measurements that are read, not counted, up to date: called when they are asked for."""
    error_page: ErrorPage | None = None
    """Says the same as the error answer, for a person: (request, status, code, sentence). At most one
    service has it; None back: the plain answer will do."""


async def stop_all(services: Iterable[Service]) -> None:
    """Run every `stop` of them in order; one that fails is logged and keeps none of the others."""
    for service in services:
        for end in service.stop:
            try:
                await end()
            except Exception:  # noqa: BLE001 - the edge: the others must still end in order
                _log.exception("a part of %s did not stop in order", service.name)


async def principal(request: Request) -> Principal:
    """FastAPI dependency: the account of the bearer token, else whoever the session cookie belongs to.

    With a cookie, methods that change something must come from our own pages. Raises Unauthorized,
    and Forbidden for a foreign page.
    """
    identity: Identity = request.app.state.identity
    if "authorization" in request.headers:
        scheme, _, secret = request.headers["authorization"].partition(" ")
        if scheme.lower() == "bearer" and secret:
            return await identity.by_token(secret.strip())
    found = await visitor(request)
    if found is None:
        raise Unauthorized(
            "no-token", "Sign in first, or send your API token in the header Authorization: Bearer …"
        )
    return found


async def visitor(request: Request) -> Principal | None:
    """Whose session cookie came along; None when nobody is signed in. Raises Forbidden like principal()."""
    secret = request.cookies.get(COOKIE, "")
    if not 20 <= len(secret) <= 200:
        return None
    identity: Identity = request.app.state.identity
    found = await identity.by_session(secret, act=_is_act(request))
    if found is not None and request.method not in _SAFE:
        require_same_origin(request)
    return found


def _is_act(request: Request) -> bool:
    """Whether a person does this: goes to a page or sends a form, reports an act in a page, or is sending
    images. What an open page asks for by itself is none: nobody stays signed in by leaving one open."""
    path, mode = request.url.path, request.headers.get("sec-fetch-mode")
    if request.method not in _SAFE and path.startswith(_ACTS):
        return True
    if mode is not None:
        return mode == "navigate"
    return "text/html" in request.headers.get("accept", "") and "hx-request" not in request.headers


def require_same_origin(request: Request) -> None:
    """Raises Forbidden unless the browser says that one of our own pages sent this request."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    ours = {request.url.netloc, urlsplit(request.app.state.site.url).netloc}
    if site == "same-origin" or (site is None and origin is not None and urlsplit(origin).netloc in ours):
        return
    raise Forbidden(
        "cross-site", "This request did not come from a page of this server. Open the page again and retry."
    )


_ACTS = ("/here", "/api/uploads", "/api/submissions")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

Caller = Depends(principal)
