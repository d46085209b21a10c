"""Storage and retention: what lies here, how long it stays, and what goes next."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from kit.errors import Refused
from kit.identity import Principal
from kit.objects.port import Objects
from kit.service import Kit
from schemas.catalogue import TOPICS
from services.portal import retention_files_ledger as files_ledger
from services.portal.pages.admin.desk import Administrator, show
from services.portal.pages.forms import read_form, text
from services.portal.pages.frame import render, see_other
from services.portal.retention import Retention
from services.portal.retention_models import Policy
from services.portal.rules import retention as rules
from services.portal.rules.files import FileRule, rule_of

_ZONES = ("incoming", "studies", "documents", "quarantine")
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


def add(router: APIRouter, kit: Kit, retention: Retention) -> None:
    storage = Storage(kit)

    async def page(
        request: Request, who: Principal, policy: Policy | None = None, error: Refused | None = None
    ) -> Response:
        saved = await retention.policy()
        return await show(
            request,
            who,
            "storage",
            error=error,
            usage=await storage.usage(),
            log_days=max(topic.retention_days for topic in TOPICS.values()),
            policy=policy or saved,
            figure=await retention.whole_figure((policy or saved) if error is None else Policy(id="none")),
            announced=await retention.listed("announced"),
            kept=await retention.listed("kept"),
            shared=await retention.listed("shared"),
            removed=await retention.listed("removed", 20),
            announced_files=await retention.files.listed("announced"),
            kept_files=await retention.files.listed("kept"),
            removed_files=await retention.files.listed("removed", 20),
        )

    @router.get("/storage")
    async def storage_page(request: Request, who: Principal = Administrator) -> Response:
        return await page(request, who)

    @router.post("/storage")
    async def save(request: Request, who: Principal = Administrator) -> Response:
        policy = Policy(id="asked")
        try:
            _read(await read_form(request), policy)
            await retention.change(
                who,
                in_pacs_days=policy.in_pacs_days,
                declined_days=policy.declined_days,
                documents_days=policy.documents_days,
                quarantine_days=policy.quarantine_days,
                undo_hours=policy.undo_hours,
            )
        except Refused as error:
            return await page(request, who, policy, error)
        return see_other(request, "/admin/storage", "Saved.")

    @router.post("/storage/figure")
    async def figure(request: Request, who: Principal = Administrator) -> Response:
        """What would go by the days that were typed, before they are saved."""
        policy = Policy(id="asked")
        _read(await read_form(request), policy)
        rules.check([*policy.days.values(), *policy.file_days.values()], policy.undo_hours)
        found = await retention.whole_figure(policy)
        return await render(request, "admin/figure.html", who=who, figure=found, policy=policy)

    @router.post("/storage/keep")
    async def keep(request: Request, who: Principal = Administrator) -> Response:
        form = await read_form(request)
        await retention.keep(who, text(form, "study", 64), text(form, "reason", 200))
        return see_other(request, "/admin/storage", "Its images are kept until somebody lets them go.")

    @router.post("/storage/files/keep")
    async def keep_files(request: Request, who: Principal = Administrator) -> Response:
        form = await read_form(request)
        await files_ledger.keep(kit, who, *_files(form), text(form, "reason", 200))
        return see_other(request, "/admin/storage", "These files are kept until somebody lets them go.")

    @router.post("/storage/files/release")
    async def release_files(request: Request, who: Principal = Administrator) -> Response:
        await files_ledger.release(kit, who, *_files(await read_form(request)))
        return see_other(request, "/admin/storage", "The policy applies to these files again.")

    @router.post("/storage/release")
    async def release(request: Request, who: Principal = Administrator) -> Response:
        form = await read_form(request)
        await retention.release(who, text(form, "study", 64))
        return see_other(request, "/admin/storage", "The policy applies to it again.")


def _read(form: FormData, policy: Policy) -> None:
    """What was typed; raises Refused for what is no number."""
    policy.in_pacs_days = _number(text(form, "in_pacs_days", 10))
    policy.declined_days = _number(text(form, "declined_days", 10))
    policy.documents_days = _number(text(form, "documents_days", 10))
    policy.quarantine_days = _number(text(form, "quarantine_days", 10))
    policy.undo_hours = _number(text(form, "undo_hours", 10)) or 72


def _files(form: FormData) -> tuple[str, FileRule]:
    """Of which submission, and which of its files. Raises NotFound."""
    return text(form, "submission", 64), rule_of(text(form, "rule", 20))


def _number(typed: str) -> int | None:
    if not typed:
        return None
    if not typed.isdecimal():
        raise Refused("bad-days", "Days are a whole number from 1, or empty for never.")
    return int(typed)


def _count(objects: Objects) -> dict[str, tuple[int, int]]:
    found = {}
    for zone in _ZONES:
        number = size = 0
        for stat in objects.list(f"{zone}/"):
            number += 1
            size += stat.size
        found[zone] = (number, size)
    return found
