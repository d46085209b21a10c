"""How a service is put together and what it gets. Only app.py modules build things."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict

from kit.bus.port import Bus
from kit.clock import Clock
from kit.documents.port import Documents
from kit.errors import Unauthorized
from kit.identity import Identity, Principal
from kit.objects.port import Objects
from kit.workers import Workers


class Site(BaseModel):
    """What all services know of the installation. Secrets are never logged."""

    model_config = ConfigDict(frozen=True)
    name: str = "Anteroom"
    url: str = "http://127.0.0.1:8080"
    zone: str = "UTC"
    default_issuer: str = ""
    """Issuer of patient ID of the hospital itself."""
    ae_title: str = "ANTEROOM"


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
    checks: dict[str, Callable[[], Awaitable[str | None]]] = field(default_factory=dict)
    """Named readiness checks of neighbours and doors: None is well, else what is wrong and what to do."""


async def principal(request: Request) -> Principal:
    """FastAPI dependency: the bearer token's account. Raises Unauthorized."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise Unauthorized("no-token", "Send your API token in the header Authorization: Bearer …")
    identity: Identity = request.app.state.identity
    return await identity.by_token(secret.strip())


Caller = Depends(principal)
