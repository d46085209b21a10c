"""Telling open pages that a study changed. Ids only: a page asks again for what it may see.

All pages look again now and then besides, so a page is never behind for longer than a beat.
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
        self.spread: Callable[[str], None] | None = None
        """Sees that other processes tell their pages, where there are others."""

    def changed(self, study_id: str) -> None:
        """Tell everybody, here and elsewhere."""
        self.tell(study_id)
        if self.spread is not None:
            self.spread(study_id)

    def tell(self, study_id: str) -> None:
        """Tell the pages served here. One that reads too slowly misses some, and catches up at the next
        beat."""
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
