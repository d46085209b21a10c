"""Readiness takes a door away only for what the door itself needs."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from prometheus_client import REGISTRY

from anteroom import readiness
from anteroom.cluster import Cluster
from anteroom.readiness import Doors
from kit.errors import StoreAway
from kit.saying import say
from kit.service import Kit, Service
from kit.web import build_app
from schemas.shapes import Said


class Engines:
    """Each is away while its name is in `away`."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.asked = 0
        self.bus = SimpleNamespace(trouble=self._trouble)
        self.mongo = SimpleNamespace(ping=self._ping)
        self.objects = SimpleNamespace(ping=self.look)

    async def _trouble(self) -> Said | None:
        return say("away", "Kafka is away") if "events" in self.away else None

    async def _ping(self) -> None:
        if "documents" in self.away:
            raise StoreAway("document store", "no answer")

    def look(self) -> None:
        self.asked += 1
        if "objects" in self.away:
            raise StoreAway("object store", "no answer")


async def ready(kit: Kit, doors: Doors) -> httpx.Response:
    transport = httpx.ASGITransport(build_app(kit, [doors.service()]))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get("/readyz")


def started(engines: Engines, *services: Service) -> Doors:
    doors = Doors(cast(Cluster, engines), services)
    doors.starting = None
    return doors


def up(name: str) -> Any:
    return REGISTRY.get_sample_value("anteroom_neighbour_up", {"neighbour": name, "name": ""})


async def test_a_start_is_over_once_events_flow(kit_env: Kit) -> None:
    engines = Engines()
    engines.away = {"events"}
    doors = started(engines, Service("portal"))
    answer = await ready(kit_env, doors)
    assert answer.status_code == 503
    assert answer.json()["start-door"] == "Kafka is away"
    engines.away = set()
    assert (await ready(kit_env, doors)).status_code == 200
    doors.starting = say("stopping", "It is stopping.")
    assert (await ready(kit_env, doors)).status_code == 503


async def test_without_kafka_doors_stay_open_and_it_is_said(kit_env: Kit) -> None:
    engines = Engines()
    doors = started(engines, Service("portal"))
    assert (await ready(kit_env, doors)).status_code == 200
    engines.away = {"events"}
    answer = await ready(kit_env, doors)
    assert answer.status_code == 200
    assert answer.json()["events"] == "Kafka is away"


@pytest.mark.parametrize(
    ("needing", "status"), [((True,), 503), ((False,), 200), ((True, False), 200)]
)  # fmt: skip
async def test_only_doors_that_need_the_object_store_go_with_it(
    kit_env: Kit, needing: tuple[bool, ...], status: int
) -> None:
    engines = Engines()
    doors = started(engines, *(Service("x", needs_objects=needs) for needs in needing))
    assert (await ready(kit_env, doors)).status_code == 200
    engines.away = {"objects"}
    answer = await ready(kit_env, doors)
    assert answer.status_code == status
    assert "object store" in answer.json()["objects-door" if status == 503 else "objects"]


async def test_without_documents_no_door_can_answer(kit_env: Kit) -> None:
    engines = Engines()
    doors = started(engines, Service("portal"))
    await ready(kit_env, doors)
    engines.away = {"documents"}
    assert (await ready(kit_env, doors)).status_code == 503


async def test_who_answers_is_measured(kit_env: Kit) -> None:
    engines = Engines()
    engines.away = {"events", "objects"}
    measure = started(engines, Service("portal")).service().gauges["neighbours"]
    await measure()
    assert [up("events"), up("documents"), up("objects")] == [0, 1, 0]
    engines.away = set()
    await measure()
    assert [up("events"), up("documents"), up("objects")] == [1, 1, 1]


async def test_a_store_that_hangs_is_asked_once_and_is_not_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_GAUGE_S", 0.05)
    engines = Engines()
    release = threading.Event()

    def hang() -> None:
        engines.look()
        release.wait(30)

    engines.objects = SimpleNamespace(ping=hang)
    service = started(engines, Service("upload", needs_objects=True)).service()
    check = service.checks["objects-door"]
    waiting = [asyncio.ensure_future(check()) for _ in range(5)]
    await service.gauges["neighbours"]()
    assert up("objects") == 0
    release.set()
    assert await asyncio.gather(*waiting) == [None] * 5
    assert engines.asked == 1
