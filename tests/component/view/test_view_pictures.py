"""Pictures that are kept on disk go when the images of their study are removed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from kit.bus.port import Bus
from kit.identity import Role
from kit.service import Kit
from kit.web import build_app
from kit.workers import Workers
from schemas.validate import StudyRemoved
from services.view.app import build
from services.view.models import REMOVED, Removed
from services.view.settings import ViewSettings
from tests.component.view.samples import NOW, STUDY, arrive, ct, login, pack, study
from tests.conftest import settle

THUMBNAIL = f"{STUDY}/thumbnail?viewport=64,64"


class Other:
    """The bus in a process that no event is given to handle."""

    def __init__(self, bus: Bus) -> None:
        self.tail = bus.tail

    def subscribe(self, *_: Any) -> None:
        pass


def removed() -> StudyRemoved:
    return StudyRemoved.first(
        time=NOW, key="st1", correlation_id="c", study_id="st1", revision=2, generation=2, rule="declined",
        packs=("p1",),
    )  # fmt: skip


def kept(kit: Kit) -> list[Path]:
    return [path for path in (kit.scratch / "pictures" / "st1").rglob("*") if path.is_file()]


async def test_they_go_with_the_images(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await arrive(kit_env, study([pack(kit_env, "p1", [ct(1)])]))
    assert (await client.get(THUMBNAIL)).status_code == 200
    assert kept(kit_env)
    await kit_env.bus.publish([removed()])
    await settle(kit_env)
    assert kept(kit_env) == []


@pytest.fixture
def workers_run(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is called when a picture has been made, before it is kept."""
    run, after = Workers.run, []

    async def wrapped(self: Workers, *given: Any) -> Any:
        made = await run(self, *given)
        for call in after:
            await call()
        return made

    monkeypatch.setattr(Workers, "run", wrapped)
    return after


async def test_one_that_is_being_made_is_not_kept(
    kit_env: Kit, client: httpx.AsyncClient, workers_run: list[Any]
) -> None:
    await arrive(kit_env, study([pack(kit_env, "p1", [ct(1)])]))

    async def gone() -> None:
        await kit_env.bus.publish([removed()])
        await settle(kit_env)

    workers_run.append(gone)
    assert (await client.get(THUMBNAIL)).status_code == 200
    assert kept(kit_env) == []


async def test_a_process_that_did_not_hear_of_it_forgets_at_its_start(kit_env: Kit) -> None:
    folder = kit_env.scratch / "pictures"
    for name in ("st1", "st2"):
        (folder / name).mkdir(parents=True)
        (folder / name / "a").write_bytes(b"picture")
    await kit_env.documents.save(REMOVED, Removed(id="st1", revision=2))
    service = build(kit_env, ViewSettings())
    for start in service.start:
        await start()
    assert kept(kit_env) == []
    assert (folder / "st2" / "a").exists()
    for stop in service.stop:
        await stop()


async def test_what_the_news_missed_goes_when_the_event_is_handled(
    kit_env: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(kit_env.bus), "tail", lambda *_: None)
    service = build(kit_env, ViewSettings())
    await kit_env.bus.start()
    for start in service.start:
        await start()
    headers = await login(kit_env, "viewer", Role.VIEW_ALL)
    await arrive(kit_env, study([pack(kit_env, "p1", [ct(1)])]))
    transport = httpx.ASGITransport(app=build_app(kit_env, [service]))
    async with httpx.AsyncClient(transport=transport, base_url="http://here", headers=headers) as client:
        assert (await client.get(THUMBNAIL)).status_code == 200
    await kit_env.bus.publish([removed()])
    await settle(kit_env)
    for stop in service.stop:
        await stop()
    assert kept(kit_env) == []


async def test_every_process_that_hears_of_it_forgets(kit_env: Kit, tmp_path: Path) -> None:
    """The event is handled by one of them; the others hear it."""
    bus: Any = Other(kit_env.bus)
    others = replace(kit_env, bus=bus, scratch=tmp_path / "other")
    services = [build(one, ViewSettings()) for one in (kit_env, others)]
    await kit_env.bus.start()
    await login(kit_env, "viewer", Role.VIEW_ALL)
    await arrive(kit_env, study([pack(kit_env, "p1", [ct(1)])]))
    for one, service in zip((kit_env, others), services, strict=True):
        for start in service.start:
            await start()
        transport = httpx.ASGITransport(app=build_app(one, [service]))
        headers = {"authorization": "Bearer viewer"}
        async with httpx.AsyncClient(transport=transport, base_url="http://here", headers=headers) as client:
            assert (await client.get(THUMBNAIL)).status_code == 200
        assert kept(one)
    await kit_env.bus.publish([removed()])
    await settle(kit_env)
    for service in services:
        for stop in service.stop:
            await stop()
    assert kept(kit_env) == kept(others) == []
