"""Telling open pages that a study changed. Ids only: a page asks again for what it may see.

In a cluster each process tells its own pages of the events it handled; all pages look again now and
then besides, so a page is never behind for longer than a beat.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from schemas.envelope import Event

_WAITING = 500
E = TypeVar("E", bound=Event)


class Live:
    def __init__(self) -> None:
        self._listening: set[asyncio.Queue[str]] = set()

    def changed(self, study_id: str) -> None:
        """Tell everybody. A page that reads too slowly misses some, and catches up at the next beat."""
        for queue in self._listening:
            with suppress(asyncio.QueueFull):
                queue.put_nowait(study_id)

    async def changes(self, beat: float) -> AsyncIterator[str]:
        """Study ids as they change; an empty one at every beat without news."""
        queue: asyncio.Queue[str] = asyncio.Queue(_WAITING)
        self._listening.add(queue)
        try:
            while True:
                try:
                    yield await asyncio.wait_for(queue.get(), beat)
                except TimeoutError:
                    yield ""
        finally:
            self._listening.discard(queue)

    def after(
        self, handler: Callable[[E], Awaitable[None]], studies: Callable[[E], Iterable[str]]
    ) -> Callable[[E], Awaitable[None]]:
        """The handler, and then the news of the studies the event is about."""

        async def handle(event: E) -> None:
            await handler(event)
            for study_id in studies(event):
                self.changed(study_id)

        return handle
