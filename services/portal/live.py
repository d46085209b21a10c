"""Telling open pages that a study changed. Ids only: a page asks again for what it may see.

A page listens for ids, or for keys of audiences (kit.access): of a study whose audience holds one of them
it is told. So a change costs one read, and wakes the pages it is about, however many are open.

News may be missed, where a page reads too slowly or the store is away: pages look again when they come to
the front and when they connect again.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass
from typing import TypeVar

from kit.access import AUDIENCES, keys_of, sees_all
from kit.documents.port import Documents
from kit.errors import Crowded, TransientError
from kit.identity import Principal
from schemas.envelope import Event

_log = logging.getLogger(__name__)

_WAITING = 500
_MOST = 800
"""Open pages of one process; a process has often no more than 1,024 files and connections."""
_MOST_EACH = 40
"""Of one account, or of one link."""
_EVERYTHING = "*"
E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Interest:
    """Ids and keys of audiences. `only`: of what these are about, nothing but this id."""

    keys: frozenset[str] = frozenset()
    only: str = ""


def interest_of(who: Principal, study: str = "") -> Interest:
    """In all studies somebody may see, or in one of them."""
    if sees_all(who):
        return Interest(frozenset({study or _EVERYTHING}))
    if who.kind == "share" and who.grant is not None:
        return Interest(frozenset(who.grant.studies), study)
    return Interest(frozenset(keys_of(who)), study)


class Ear:
    """What one page has been told and has not read yet."""

    def __init__(self) -> None:
        self.interest = Interest()
        self._news: dict[str, None] = {}
        self._some = asyncio.Event()

    def hear(self, changed: str) -> None:
        if self.interest.only in ("", changed) and len(self._news) < _WAITING:
            self._news[changed] = None
            self._some.set()

    async def next(self, until: float) -> str:
        """What changed. Empty from `until` (the loop's time) on, however much there still is to tell."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._some.wait()
        if not self._news or asyncio.get_running_loop().time() >= until:
            return ""
        changed = next(iter(self._news))
        del self._news[changed]
        if not self._news:
            self._some.clear()
        return changed


class Live:
    def __init__(self, documents: Documents, *, most: int = _MOST, most_each: int = _MOST_EACH) -> None:
        self._documents = documents
        self._most, self._most_each = most, most_each
        self._open: Counter[str] = Counter()
        self._ears: dict[str, set[Ear]] = {}
        self._changed: dict[str, None] = {}
        self._telling: asyncio.Task[None] | None = None
        self.spread: Callable[[str], None] | None = None
        """Sees that other processes tell their pages, where there are others."""

    def require_room(self, holder: str) -> None:
        """Raises Crowded when this account or link, or all together, have too many pages open."""
        if self._open[holder] >= self._most_each:
            raise Crowded(
                "too-many-pages", "Too many pages of yours are open here. Close some that you do not need."
            )
        if self._open.total() >= self._most:
            raise Crowded(
                "too-many-pages",
                "Very many pages are open here. This one works, but shows no news by itself.",
            )

    @contextmanager
    def listening(self, holder: str) -> Iterator[Ear]:
        """An ear, as yet for nothing. Raises Crowded."""
        self.require_room(holder)
        ear = Ear()
        self._open[holder] += 1
        try:
            yield ear
        finally:
            self.attend(ear, Interest())
            self._open -= Counter({holder: 1})

    def attend(self, ear: Ear, interest: Interest) -> None:
        """From now on the ear hears of this, and of nothing else."""
        for key in ear.interest.keys - interest.keys:
            self._ears[key].discard(ear)
            if not self._ears[key]:
                del self._ears[key]
        for key in interest.keys - ear.interest.keys:
            self._ears.setdefault(key, set()).add(ear)
        ear.interest = interest

    def changed(self, changed: str) -> None:
        """Tell everybody, here and elsewhere, of this study or submission."""
        self.tell(changed)
        if self.spread is not None:
            self.spread(changed)

    def tell(self, changed: str) -> None:
        """Tell the pages served here, soon."""
        if not self._ears:
            return
        self._changed[changed] = None
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell(), name="portal-live", context=Context())

    async def stop(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    async def _tell(self) -> None:
        while self._changed:
            changed = next(iter(self._changed))
            del self._changed[changed]
            try:
                audience = await self._documents.get(AUDIENCES, changed)
            except TransientError as error:
                _log.info("open pages are not told of news: %s", error)
                continue
            keys = [_EVERYTHING, changed, *(audience.keys if audience is not None else ())]
            for ear in set[Ear]().union(*(self._ears.get(key, ()) for key in keys)):
                ear.hear(changed)

    def after(
        self, handler: Callable[[E], Awaitable[None]], studies: Callable[[E], Iterable[str]]
    ) -> Callable[[E], Awaitable[None]]:
        """The handler, and then the news of the studies the event is about."""

        async def handle(event: E) -> None:
            await handler(event)
            for study_id in studies(event):
                self.changed(study_id)

        return handle
