"""Whether destinations answer: each is asked (C-ECHO, or what its kind has) at most once a minute."""

import asyncio

from kit.destinations import DESTINATIONS, Destination
from kit.errors import PermanentError, TransientError
from kit.metrics import NEIGHBOUR_UP
from services.forward.means import Means

_EVERY_S = 60.0
_PATIENCE_S = 3.0


class Asking:
    """Only a scrape asks, so nothing happens where nobody scrapes."""

    def __init__(self, means: Means) -> None:
        self._means = means
        patience = {"connect_timeout_s": _PATIENCE_S, "answer_timeout_s": _PATIENCE_S}
        self._settings = means.settings.model_copy(update=patience)
        self._next = 0.0
        self._known: set[str] = set()

    def forget(self) -> None:
        """The next measurement asks anew."""
        self._next = 0.0

    async def measure(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._next:
            return
        self._next = loop.time() + _EVERY_S
        page = await self._means.kit.documents.find(DESTINATIONS, limit=1000)
        answers = await asyncio.gather(*(self._answers(one) for one in page.items))
        for one, up in zip(page.items, answers, strict=True):
            NEIGHBOUR_UP.labels("destination", one.id).set(up)
        named = {one.id for one in page.items}
        for gone in self._known - named:
            NEIGHBOUR_UP.remove("destination", gone)
        self._known = named

    async def _answers(self, destination: Destination) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._means.kinds[destination.kind].echo(destination, self._settings)
        except (TransientError, PermanentError, TimeoutError):
            return False
        return True
