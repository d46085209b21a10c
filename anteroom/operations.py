"""What operators ask of a running installation: the log, dead letters and their replay, the lag."""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import cache, partial
from typing import Annotated, Any

from fastapi import APIRouter, Query

from anteroom.collections import collections
from kit.documents.port import Collection, Range
from kit.errors import TransientError
from kit.identity import Principal, Role
from kit.metrics import BUS_LAG, DEAD_LETTERS, DISK_FREE, DISK_SIZE, OLDEST_TASK, TASKS_DUE, UNKNOWN
from kit.service import Caller, Kit, Service
from kit.tasks import TaskDoc
from schemas.catalogue import TOPICS
from services.portal.accounts import record

_log = logging.getLogger(__name__)

_TOLD = tuple(name for name, topic in TOPICS.items() if not topic.news)
_REFRESH_S = 5.0
"""Scrapers wait ten."""
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
        found = await kit.bus.read(after=after, topics=topic or _TOLD, limit=limit)
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
        await record(kit, caller, "replayed", "dead-letter", letter_id[:64])
        await kit.bus.replay(letter_id)
        return {"replaying": letter_id}

    @router.get("/lag")
    async def lag(caller: Principal = Caller) -> list[dict[str, Any]]:
        caller.require(Role.ADMIN)
        return [{"group": g, "topic": t, "events": n} for (g, t), n in (await kit.bus.lag()).items()]

    return Service(name="operations", routers=[router])


def shared(work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """The work for any number who ask: whoever asks while it runs waits for that run. So scraping often
    costs no more than scraping all the time."""
    running: asyncio.Future[None] | None = None

    async def ask() -> None:
        nonlocal running
        if running is None or running.done():
            running = asyncio.ensure_future(work())
        await asyncio.shield(running)

    return ask


async def refresh_metrics(kit: Kit, services: Sequence[Service]) -> None:
    """Bring the gauges that are read, not counted, up to date: called when metrics are scraped. `services`
    are those of this process. What can't be read within seconds keeps its last value, and is counted."""
    parts = {name: gauge for service in services for name, gauge in service.gauges.items()}
    parts |= {
        f"tasks of {one.name}": partial(_count_tasks, kit, one.name) for one in services if _tasks(one.name)
    }
    parts |= {
        "lag": partial(_read_lag, kit),
        "dead letters": partial(_count_dead_letters, kit),
        "disk": partial(_measure_disk, kit),
    }
    await asyncio.gather(*(_refresh(name, part) for name, part in parts.items()))


async def _refresh(name: str, part: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(_REFRESH_S):
            await part()
    except (TransientError, TimeoutError, OSError) as error:
        UNKNOWN.labels(part=name).inc()
        _log.info("the gauges of %s are old: %s", name, type(error).__name__)


async def _count_tasks(kit: Kit, service: str) -> None:
    now = kit.clock()
    due, found, oldest = {"due_at": Range(None, now)}, 0, now
    for tasks in _tasks(service):
        found += await kit.documents.count(tasks, due, cap=_COUNTED)
        for first in await kit.documents.project(tasks, ["due_at"], due, order="due_at", limit=1):
            oldest = min(oldest, datetime.fromisoformat(first["due_at"]))
    TASKS_DUE.labels(service=service).set(found)
    OLDEST_TASK.labels(service=service).set((now - oldest).total_seconds())


async def _read_lag(kit: Kit) -> None:
    """A group or topic that is gone would else be behind for ever."""
    found = await kit.bus.lag()
    shown = {(s.labels["group"], s.labels["topic"]) for metric in BUS_LAG.collect() for s in metric.samples}
    for gone in shown - found.keys():
        BUS_LAG.remove(*gone)
    for (group, topic), events in found.items():
        BUS_LAG.labels(group=group, topic=topic).set(events)


async def _count_dead_letters(kit: Kit) -> None:
    DEAD_LETTERS.set(len(await kit.bus.dead_letters(limit=1000)))


async def _measure_disk(kit: Kit) -> None:
    """Of both folders that are written to; in a cluster they may lie on volumes of their own."""
    for folder, place in (("data", str(kit.scratch)), ("temporary", tempfile.gettempdir())):
        usage = await asyncio.to_thread(shutil.disk_usage, place)
        DISK_FREE.labels(folder).set(usage.free)
        DISK_SIZE.labels(folder).set(usage.total)


@cache
def _tasks(service: str) -> list[Collection[Any]]:
    return [one for one in collections([service]) if issubclass(one.model, TaskDoc)]
