"""Forgetting what is over: sessions, links, tries. Nothing depends on it but the size of the store.

What accounts are found by is brought to date as well, when the service starts.
"""

import asyncio
import contextlib
import logging
from datetime import timedelta

from kit.documents.port import Range
from kit.errors import TransientError, VersionConflict
from kit.service import Kit
from services.portal.people.finding import catch_up
from services.portal.people.links import clean_links
from services.portal.people.models import TRIES
from services.portal.people.sessions import clean_sessions

_log = logging.getLogger(__name__)
_EVERY_S = 3600
_TRIES_KEPT = timedelta(days=2)


class Cleaner:
    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def clean(self) -> None:
        await clean_sessions(self._kit)
        await clean_links(self._kit)
        page = await self._kit.documents.find(
            TRIES, {"last_at": Range(high=self._kit.clock() - _TRIES_KEPT)}, limit=1000
        )
        for tries in page.items:
            await self._kit.documents.delete(TRIES, tries)

    async def _run(self) -> None:
        behind = True
        while True:
            try:
                if behind:
                    await catch_up(self._kit)
                    behind = False
                await self.clean()
            except (TransientError, VersionConflict) as error:
                _log.info("cleaning up goes on later: %s", error)
            await asyncio.sleep(_EVERY_S)
