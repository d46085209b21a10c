"""Gauges that scaling relies on: what they are called and what they count."""

from datetime import timedelta

from prometheus_client import REGISTRY

from anteroom.operations import refresh_metrics
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
