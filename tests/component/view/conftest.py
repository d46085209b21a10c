"""The view service over HTTP, without a socket."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import uvicorn

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


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture
async def served(kit_env: Kit) -> AsyncIterator[str]:
    """The view service on a socket: its address. The token `viewer` sees every study."""
    service = build(kit_env, ViewSettings())
    await kit_env.bus.start()
    for start in service.start:
        await start()
    await login(kit_env, "viewer", Role.VIEW_ALL)
    listener = socket.create_server(("127.0.0.1", 0))
    app = build_app(kit_env, [service])
    server = _Server(uvicorn.Config(app, ws="none", lifespan="off", access_log=False, log_config=None))
    task = asyncio.create_task(server.serve([listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await task
    for stop in service.stop:
        await stop()
