"""What runs underneath: the patient feed, queues and dead letters, storage."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import APIRouter, Request, Response

from kit.identity import Principal
from kit.objects.port import Objects
from kit.service import Kit
from schemas.catalogue import TOPICS
from services.portal.accounts import record
from services.portal.pages.admin.desk import Administrator, show
from services.portal.pages.forms import read_form, text
from services.portal.pages.frame import see_other

_ZONES = ("incoming", "studies", "quarantine")
_COUNTED_EVERY = timedelta(minutes=5)


@dataclass(frozen=True)
class Usage:
    """Objects and bytes by zone, as counted at `time`; `free` and `total` of the volume."""

    time: datetime
    zones: Mapping[str, tuple[int, int]]
    free: int
    total: int

    @property
    def used_percent(self) -> int:
        return round(100 * (self.total - self.free) / self.total) if self.total else 0


class Storage:
    """Counting reads every object's entry: at most once in five minutes, and never twice at once."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._last: Usage | None = None
        self._lock = asyncio.Lock()

    async def usage(self) -> Usage:
        async with self._lock:
            now = self._kit.clock()
            if self._last is None or now - self._last.time > _COUNTED_EVERY:
                zones = await asyncio.to_thread(_count, self._kit.objects)
                disk = shutil.disk_usage(self._kit.scratch)
                self._last = Usage(now, zones, disk.free, disk.total)
            return self._last


def add(router: APIRouter, kit: Kit) -> None:
    storage = Storage(kit)

    @router.get("/feed")
    async def feed(request: Request, who: Principal = Administrator) -> Response:
        return await show(request, who, "feed")

    @router.get("/queues")
    async def queues(request: Request, who: Principal = Administrator) -> Response:
        lag = [(group, topic, events) for (group, topic), events in (await kit.bus.lag()).items() if events]
        letters = await kit.bus.dead_letters(limit=500)
        return await show(request, who, "queues", lag=sorted(lag), letters=letters)

    @router.post("/queues/replay")
    async def replay(request: Request, who: Principal = Administrator) -> Response:
        form = await read_form(request)
        letter = text(form, "letter", 64)
        await record(kit, who, "replayed", "dead-letter", letter)
        await kit.bus.replay(letter)
        return see_other(request, "/admin/queues", "It is delivered again, to the part it failed in alone.")

    @router.get("/storage")
    async def storage_page(request: Request, who: Principal = Administrator) -> Response:
        kept = max(topic.retention_days for topic in TOPICS.values())
        return await show(request, who, "storage", usage=await storage.usage(), log_days=kept)


def _count(objects: Objects) -> dict[str, tuple[int, int]]:
    found = {}
    for zone in _ZONES:
        number = size = 0
        for stat in objects.list(f"{zone}/"):
            number += 1
            size += stat.size
        found[zone] = (number, size)
    return found
