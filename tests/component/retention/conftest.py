"""validate, portal and view together, whose clock is moved by hand."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from anteroom.embedded import open_embedded
from kit.identity import ACCOUNTS, TOKENS, Account, Principal, Role, Token, token_id
from kit.service import Kit, Service, Site
from kit.web import build_app
from kit.workers import Workers
from services.portal.app import build as build_portal
from services.portal.decisions import decide_by_person
from services.portal.models import CASES, Case
from services.portal.retention import Retention
from services.portal.retention_models import Expiry
from services.portal.rules.decide import Request
from services.portal.settings import PortalSettings
from services.validate.app import build as build_validate
from services.validate.settings import ValidateSettings
from services.view.app import build as build_view
from services.view.settings import ViewSettings
from tests.component.portal.browser import Hand
from tests.component.validate.conftest import House
from tests.component.validate.files import dicom
from tests.conftest import settle

CHIEF = Principal(Account(id="chief", name="Chief", roles=[Role.ADMIN]))


@dataclass
class Room:
    """validate, portal and view on one Kit whose clock is moved by hand. Tasks are run when told."""

    kit: Kit
    clock: Hand
    sender: House
    retention: Retention
    app: Any

    async def study(self, uid: str, *numbers: int, decline: bool = True) -> str:
        """Sent, and declined. Returns its id."""
        files = [(f"{n}.dcm", dicom(study=uid, number=n)) for n in numbers]
        submission = await self.sender.send(files)
        await settle(self.kit)
        [study_id] = (await self.sender.tally(submission)).studies
        if decline:
            await self.decline(study_id)
        return study_id

    async def decline(self, study_id: str) -> None:
        case = await self.case(study_id)
        assert case.study is not None
        asked = Request(action="decline", study_revision=case.study.revision, reason="Not ours.")
        await decide_by_person(self.kit, CHIEF, study_id, asked)
        await settle(self.kit)

    async def case(self, study_id: str) -> Case:
        case = await self.kit.documents.get(CASES, study_id)
        assert case is not None
        return case

    def objects(self, study_id: str) -> list[str]:
        return [stat.key for stat in self.kit.objects.list(f"studies/{study_id}/")]

    async def go(self, **by: float) -> None:
        """Time passes with looks: every hour in the last days, before that once in twenty."""
        left, hour = timedelta(**by), timedelta(hours=1)
        while left:
            step = min(left, hour if left <= timedelta(days=2.5) else 20 * hour)
            self.clock.go(hours=step / hour)
            await self.look()
            left -= step

    async def look(self) -> list[Expiry]:
        """The hourly look, and what stands announced after it."""
        policy = await self.retention.policy()
        await self.retention.look(policy)
        return [expiry for expiry, _ in await self.retention.listed("announced")]

    async def expire(self) -> None:
        """What is due by the clock."""
        for expiry, _ in await self.retention.listed("announced"):
            if expiry.due_at is not None and expiry.due_at <= self.clock():
                await self.retention.expire(expiry)
        for files, _ in await self.retention.files.listed("announced"):
            if files.due_at is not None and files.due_at <= self.clock():
                await self.retention.files.expire(files)
        await settle(self.kit)


@pytest.fixture(scope="module")
def helpers() -> Iterator[Workers]:
    workers = Workers(1)
    yield workers
    asyncio.run(workers.stop())


@pytest.fixture
async def room(tmp_path: Path, helpers: Workers) -> AsyncIterator[Room]:
    clock = Hand(datetime(2026, 3, 2, 8, 0, tzinfo=UTC))
    embedded = open_embedded(tmp_path / "data", Site(url="http://here"), clock=clock)
    kit = replace(embedded.kit, workers=helpers)
    services: list[Service] = [
        build_validate(kit, ValidateSettings()),
        build_view(kit, ViewSettings()),
        build_portal(kit, PortalSettings()),
    ]
    for step in services[0].start:
        await step()
    await kit.bus.start()
    for who, role in (("chief", Role.ADMIN), ("clerk", Role.VIEW_ALL), ("approver", Role.APPROVE)):
        await kit.documents.save(ACCOUNTS, Account(id=who, name=who, roles=[role]))
        await kit.documents.save(TOKENS, Token(id=token_id(who), account_id=who, created_at=clock()))
    yield Room(kit, clock, House(kit, services[0]), Retention(kit), build_app(kit, services))
    for step in services[0].stop:
        await step()
    await embedded.close()


async def policy(room: Room, **days: Any) -> None:
    fields = {"in_pacs_days": None, "declined_days": 30, "undo_hours": 48, **days}
    await room.retention.change(CHIEF, **fields)


def second_delete_fails(room: Room, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Once. Returns the keys that are deleted from now on, with that one."""
    objects, calls = type(room.kit.objects), list[str]()
    delete = objects.delete

    def fails_once(self: Any, key: str) -> None:
        calls.append(key)
        if len(calls) == 2:
            raise OSError("the disk went away")
        delete(self, key)

    monkeypatch.setattr(objects, "delete", fails_once)
    return calls
