"""What operators ask of a running installation: the log, dead letters and their replay, the lag."""

from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Query

from anteroom.collections import collections
from kit.documents.port import Collection, Range
from kit.identity import Principal, Role
from kit.metrics import BUS_LAG, DEAD_LETTERS, TASKS_DUE
from kit.service import Caller, Kit, Service
from kit.tasks import TaskDoc

_COUNTED = 10_000
"""Due tasks of a kind are counted no further."""


def build(kit: Kit) -> Service:
    router = APIRouter(prefix="/api", tags=["operations"])

    @router.get("/events")
    async def events(
        caller: Principal = Caller,
        after: int | None = None,
        topic: Annotated[list[str] | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> list[dict[str, Any]]:
        """The log, envelope only: what happened to what, without any content."""
        caller.require(Role.ADMIN)
        found = await kit.bus.read(after=after, topics=topic or (), limit=limit)
        return [
            {
                "position": position,
                "topic": event.topic,
                "id": event.id,
                "cause": event.cause,
                "correlation_id": event.correlation_id,
                "time": event.time,
            }
            for position, event in found
        ]

    @router.get("/dead-letters")
    async def dead_letters(caller: Principal = Caller) -> list[dict[str, Any]]:
        caller.require(Role.ADMIN)
        return [vars(letter) for letter in await kit.bus.dead_letters(limit=1000)]

    @router.post("/dead-letters/{letter_id}/replay", status_code=202)
    async def replay(letter_id: str, caller: Principal = Caller) -> dict[str, str]:
        """Deliver the event again to the group it died in, and to no other."""
        caller.require(Role.ADMIN)
        await kit.bus.replay(letter_id)
        return {"replaying": letter_id}

    @router.get("/lag")
    async def lag(caller: Principal = Caller) -> list[dict[str, Any]]:
        caller.require(Role.ADMIN)
        return [{"group": g, "topic": t, "events": n} for (g, t), n in (await kit.bus.lag()).items()]

    return Service(name="operations", routers=[router])


async def refresh_metrics(kit: Kit, services: Iterable[str]) -> None:
    """Bring the gauges that are read, not counted, up to date: called when metrics are scraped.
    `services` are those of this process."""
    for service in services:
        due = {"due_at": Range(None, kit.clock())}
        found = [await kit.documents.count(tasks, due, cap=_COUNTED) for tasks in _tasks(service)]
        TASKS_DUE.labels(service=service).set(sum(found))
    for (group, topic), events in (await kit.bus.lag()).items():
        BUS_LAG.labels(group=group, topic=topic).set(events)
    DEAD_LETTERS.set(len(await kit.bus.dead_letters(limit=1000)))


@cache
def _tasks(service: str) -> list[Collection[Any]]:
    return [one for one in collections([service]) if issubclass(one.model, TaskDoc)]
