"""The view service over HTTP, without a socket."""

from collections.abc import AsyncIterator

import httpx
import pytest

from kit.identity import Role
from kit.service import Kit
from kit.web import build_app
from services.view.app import build
from services.view.settings import ViewSettings
from tests.component.view.samples import login


@pytest.fixture
async def client(kit_env: Kit) -> AsyncIterator[httpx.AsyncClient]:
    """As somebody who sees every study; other accounts by their header."""
    service = build(kit_env, ViewSettings())
    await kit_env.bus.start()
    for start in service.start:
        await start()
    headers = await login(kit_env, "viewer", Role.VIEW_ALL)
    transport = httpx.ASGITransport(app=build_app(kit_env, [service]))
    async with httpx.AsyncClient(transport=transport, base_url="http://here", headers=headers) as made:
        yield made
    for stop in service.stop:
        await stop()
