"""What operators ask of a running installation: the log, dead letters and their replay, the lag."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from kit.identity import Principal, Role
from kit.metrics import BUS_LAG, DEAD_LETTERS
from kit.service import Caller, Kit, Service


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


async def refresh_metrics(kit: Kit) -> None:
    """Bring the gauges that are read, not counted, up to date: called when metrics are scraped."""
    for (group, topic), events in (await kit.bus.lag()).items():
        BUS_LAG.labels(group=group, topic=topic).set(events)
    DEAD_LETTERS.set(len(await kit.bus.dead_letters(limit=1000)))
