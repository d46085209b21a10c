"""Whether requests may come to this process, and what it lacks besides.

A door needs what it can't answer without. Everything else is a neighbour: shown at /readyz and measured, but
no reason to take the door away, since another pod would lack the same.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from anteroom.cluster import Cluster
from kit.errors import TransientError
from kit.metrics import NEIGHBOUR_UP
from kit.saying import say
from kit.service import Service
from schemas.shapes import Said

_GAUGE_S = 4.0
"""Gauges get five seconds; a neighbour that hangs so long is not up."""


class Doors:
    """What is missing for the services of this process to do their work, engine by engine."""

    def __init__(self, cluster: Cluster, services: Sequence[Service]) -> None:
        self._events = _Look(cluster.bus.trouble)
        self._documents = _Look(lambda: _said(cluster.mongo.ping()))
        self._objects = _Look(lambda: _said(asyncio.to_thread(cluster.objects.ping)))
        self._needs_objects = all(service.needs_objects for service in services)
        self._joined = False
        self.starting: Said | None = say("starting", "It is still starting.")
        """None once everything runs; then the start is over as soon as events have flowed."""

    def service(self) -> Service:
        return Service(
            name="engines",
            checks={
                "start-door": self._started,
                "events": self._events,
                "documents-door": self._documents,
                "objects-door" if self._needs_objects else "objects": self._objects,
            },
            gauges={"neighbours": self._measure},
        )

    async def _started(self) -> Said | None:
        if self.starting is None and not self._joined:
            trouble = await self._events()
            self._joined = trouble is None
            return trouble
        return self.starting

    async def _measure(self) -> None:
        looks = {"events": self._events, "documents": self._documents, "objects": self._objects}
        answers = await asyncio.gather(*(_answers(look) for look in looks.values()))
        for name, up in zip(looks, answers, strict=True):
            NEIGHBOUR_UP.labels(name, "").set(up)


class _Look:
    """Asks a neighbour once at a time, however many want to know: one that hangs holds one thread."""

    def __init__(self, ask: Callable[[], Awaitable[Said | None]]) -> None:
        self._ask = ask
        self._running: asyncio.Future[Said | None] | None = None

    async def __call__(self) -> Said | None:
        if self._running is None or self._running.done():
            self._running = asyncio.ensure_future(self._ask())
        return await asyncio.shield(self._running)


async def _answers(look: _Look) -> bool:
    try:
        async with asyncio.timeout(_GAUGE_S):
            return await look() is None
    except TimeoutError:
        return False


async def _said(attempt: Awaitable[None]) -> Said | None:
    try:
        await attempt
    except TransientError as error:
        return error.said
    return None
