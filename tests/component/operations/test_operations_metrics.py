"""Gauges that scaling relies on: what they are called and what they count."""

import asyncio
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from anteroom.operations import refresh_metrics, shared
from kit.service import Kit, Service
from services.view.preparing import PREPARATIONS, Preparation
from tests.unit.k8s.test_k8s_scaling import TASKS_DUE


def due(service: str) -> float | None:
    return REGISTRY.get_sample_value(TASKS_DUE, {"service": service})


async def test_due_tasks_are_counted_for_their_service_alone(kit_env: Kit) -> None:
    now = kit_env.clock()
    for name, when in (("past", now - timedelta(1)), ("later", now + timedelta(1)), ("done", None)):
        await kit_env.documents.save(PREPARATIONS, Preparation(id=name, revision=1, due_at=when))
    await refresh_metrics(kit_env, [Service(name) for name in ("view", "forward", "notify", "validate")])
    assert [due(service) for service in ("view", "forward", "notify", "validate")] == [1, 0, 0, 0]


async def test_a_group_that_is_gone_is_behind_no_longer(
    kit_env: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    lags = iter([{("stays", "a"): 3, ("gone", "a"): 2, ("stays", "gone"): 1}, {("stays", "a"): 0}])

    async def lag() -> dict[tuple[str, str], int]:
        return next(lags)

    monkeypatch.setattr(kit_env.bus, "lag", lag)

    def behind() -> list[float | None]:
        pairs = [("stays", "a"), ("gone", "a"), ("stays", "gone")]
        name = "anteroom_bus_lag_events"
        return [REGISTRY.get_sample_value(name, {"group": g, "topic": t}) for g, t in pairs]

    await refresh_metrics(kit_env, [])
    assert behind() == [3, 2, 1]
    await refresh_metrics(kit_env, [])
    assert behind() == [0, None, None]


async def test_whoever_scrapes_meanwhile_shares_one_look() -> None:
    looks, go = 0, asyncio.Event()

    async def look() -> None:
        nonlocal looks
        looks += 1
        await go.wait()

    refresh = shared(look)
    scrapes = [asyncio.ensure_future(refresh()) for _ in range(5)]
    await asyncio.sleep(0)
    scrapes[0].cancel()
    go.set()
    ended = await asyncio.gather(*scrapes, return_exceptions=True)
    assert looks == 1
    assert isinstance(ended[0], asyncio.CancelledError)
    assert ended[1:] == [None] * 4
    await refresh()
    assert looks == 2
