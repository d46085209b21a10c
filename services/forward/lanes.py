"""One task runner for each destination, so that a PACS that hangs holds up only its own deliveries."""

import asyncio
import logging
from collections.abc import Callable

from kit.destinations import DESTINATIONS
from kit.documents.port import Documents, In
from kit.errors import TransientError
from kit.tasks import TaskRunner
from services.forward.models import DELIVERIES, Delivery
from services.forward.rules.states import UNFINISHED

_log = logging.getLogger(__name__)
_LOOK_EVERY_S = 30.0


class Lanes:
    """Starts a lane for every destination known, and for any that still has unfinished deliveries."""

    def __init__(self, documents: Documents, make_runner: Callable[[str], TaskRunner[Delivery]]) -> None:
        self._documents = documents
        self._make_runner = make_runner
        self._lanes: dict[str, TaskRunner[Delivery]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._looking = asyncio.create_task(self._look(), name="forward:lanes")

    async def poke(self, destination: str) -> None:
        """Something is due for this destination now."""
        lane = self._lanes.get(destination)
        if lane is None and self._looking is not None:
            lane = self._lanes[destination] = self._make_runner(destination)
            await lane.start()
        if lane is not None:
            lane.poke()

    async def stop(self) -> None:
        if self._looking is None:
            return
        looking, self._looking = self._looking, None
        looking.cancel()
        await asyncio.gather(looking, *(lane.stop() for lane in self._lanes.values()), return_exceptions=True)

    async def _look(self) -> None:
        """Another process may have taken the decision event, or a destination may be new."""
        while True:
            try:
                for name in await self._known():
                    if name not in self._lanes:
                        await self.poke(name)
            except TransientError as error:
                _log.warning("looking for destinations: %s", error)
            except Exception:  # noqa: BLE001 - the edge: a defect must not end the looking
                _log.exception("looking for destinations met a defect")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _known(self) -> set[str]:
        destinations = await self._documents.project(DESTINATIONS, ["kind"], limit=1000)
        unfinished = await self._documents.project(
            DELIVERIES, ["destination"], {"state": In([state.value for state in UNFINISHED])}, limit=10_000
        )
        return {row["id"] for row in destinations} | {row["destination"] for row in unfinished}
