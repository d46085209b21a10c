"""A real uvicorn server on loopback with the upload service alone."""

import asyncio
import contextlib
import io
import socket
import tarfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx
import pytest
import uvicorn

from kit.clock import utc_now
from kit.identity import ACCOUNTS, TOKENS, Account, Role, Token, token_id
from kit.service import Kit, Service
from kit.web import build_app
from services.upload.app import build
from services.upload.settings import UploadSettings

SECRET = "test-token-of-a-sender"
OTHER = "test-token-of-another"


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class Running:
    """The service as its clients see it."""

    kit: Kit
    service: Service
    url: str
    client: httpx.AsyncClient

    async def events(self, topic: str) -> list:
        return [event for _, event in await self.kit.bus.read(after=0, topics=[topic], limit=10_000)]


async def add_account(kit: Kit, name: str, secret: str, *roles: Role) -> Account:
    account = Account(id=name, name=name, origin=name, roles=list(roles))
    await kit.documents.save(ACCOUNTS, account)
    token = Token(id=token_id(secret), account_id=name, created_at=utc_now())
    await kit.documents.save(TOKENS, token)
    return account


@contextlib.asynccontextmanager
async def serving(kit: Kit, settings: UploadSettings) -> AsyncIterator[Running]:
    service = build(kit, settings)
    app = build_app(kit, [service])
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = _Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=2,
        )
    )
    for start in service.start:
        await start()
    task = asyncio.create_task(server.serve([listener]))
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(
        base_url=url, headers={"authorization": f"Bearer {SECRET}"}, timeout=30
    ) as client:
        try:
            yield Running(kit, service, url, client)
        finally:
            server.should_exit = True
            await task
            for stop in service.stop:
                await stop()


def settings_of(**changes: object) -> UploadSettings:
    defaults: dict[str, object] = {"dicom_port": -1, "reserve_bytes": 0, "idle_s": 0.2, "quiet_s": 1}
    return UploadSettings.model_validate({**defaults, **changes})


@pytest.fixture
async def accounts(kit_env: Kit) -> Kit:
    await add_account(kit_env, "clinic", SECRET, Role.SEND)
    await add_account(kit_env, "practice", OTHER, Role.SEND)
    return kit_env


@pytest.fixture
async def upload(accounts: Kit) -> AsyncIterator[Running]:
    async with serving(accounts, settings_of()) as running:
        yield running


def tar_of(files: dict[str, bytes]) -> bytes:
    """A batch as a client makes it: names are "<ordinal>/<path>"."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def stored_files(kit: Kit, event: object) -> dict[str, bytes]:
    """What a batch-received event points to, opened as the tar it is."""
    content = b"".join(b"".join(kit.objects.stream(part.key)) for part in event.parts)
    assert len(content) == sum(part.size for part in event.parts)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}
