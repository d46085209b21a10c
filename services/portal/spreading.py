"""Telling the pages that other portal processes serve: what one of them handled, all of them hear of.

The news are published after what they are about was saved, so that a page that asks again sees it. They are
gathered for a moment, and may be missed: every page looks again at the next beat.
"""

import asyncio
import logging
from collections.abc import Iterator
from itertools import islice

from kit.errors import TransientError
from kit.ids import random_id
from kit.service import Kit
from schemas.portal import PagesChanged
from services.portal.live import Live

_log = logging.getLogger(__name__)

_GATHER_S = 0.1
_AT_ONCE = 500


class Spreading:
    """On one machine there are no others, and this does nothing."""

    def __init__(self, kit: Kit, live: Live) -> None:
        self._kit = kit
        self._live = live
        self._news: dict[str, None] = {}
        self._some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        if not kit.exclusive:
            live.spread = self.note
            kit.bus.tail(PagesChanged, self.hear)

    def note(self, changed: str) -> None:
        """Others are to be told of this, soon."""
        self._news[changed] = None
        self._some.set()

    def hear(self, event: PagesChanged) -> None:
        if event.process != self._kit.owner:
            for changed in event.ids:
                self._live.tell(changed)

    async def start(self) -> None:
        if not self._kit.exclusive:
            self._task = asyncio.create_task(self._keep_telling(), name="portal-spreading")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_telling(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            news, self._news = iter(self._news), {}
            try:
                await self._kit.bus.publish(list(self._events(news)))
            except TransientError as error:
                _log.info("other processes' pages are not told of news: %s", error)
            except Exception:  # noqa: BLE001 - the edge: who ended here would gather news for ever
                _log.exception("other processes' pages are not told of news")
            await asyncio.sleep(_GATHER_S)

    def _events(self, news: Iterator[str]) -> Iterator[PagesChanged]:
        while ids := tuple(islice(news, _AT_ONCE)):
            act = random_id()
            yield PagesChanged.first(
                time=self._kit.clock(),
                key=self._kit.owner,
                correlation_id=act,
                step=act,
                process=self._kit.owner,
                ids=ids,
            )
