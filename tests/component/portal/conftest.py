"""The portal with a clock that can be moved, and people in it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from anteroom.embedded import open_embedded
from kit.identity import ACCOUNTS, Account, Role
from kit.seal import MAIL, unseal
from kit.service import Kit, Site
from kit.web import build_app
from schemas.portal import AccountMailRequested
from services.portal.app import build
from services.portal.models import AUDIT
from services.portal.people.models import LOGINS, Login, login_id, person_id
from services.portal.people.passwords import hash_password
from services.portal.settings import PortalSettings
from tests.component.portal.browser import PASSWORD, Browser, Hand


@dataclass
class House:
    kit: Kit
    clock: Hand
    app: FastAPI
    open: list[Browser] = field(default_factory=list)

    def browser(self, address: str = "10.0.0.7", **headers: str) -> Browser:
        made = Browser(self.app, address, **headers)
        self.open.append(made)
        return made

    async def person(self, email: str, *roles: Role, **fields: Any) -> Account:
        account = Account(
            id=person_id(email), name=email.split("@")[0], email=email, roles=list(roles), **fields
        )
        await self.kit.documents.save(ACCOUNTS, account)
        login = Login(
            id=login_id(email),
            account_id=account.id,
            email=email,
            password_hash=await hash_password(PASSWORD),
            password_at=self.clock(),
        )
        await self.kit.documents.save(LOGINS, login)
        return account

    async def administrator(self) -> Browser:
        await self.person("root@hospital.example", Role.ADMIN)
        browser = self.browser()
        await browser.sign_in("root@hospital.example")
        return browser

    async def mails(self) -> list[tuple[AccountMailRequested, str]]:
        """The mails asked for, with the paths of their links."""
        events = [event for _, event in await self.kit.bus.read(topics=["account-mail-requested"])]
        mails = [event for event in events if isinstance(event, AccountMailRequested)]
        return [(mail, unseal(self.kit.site_key, MAIL, mail.sealed)) for mail in mails]

    async def actions(self) -> list[str]:
        page = await self.kit.documents.find(AUDIT, order="time", limit=1000)
        return [entry.action for entry in page.items]


@pytest.fixture
async def make_house(tmp_path: Path) -> AsyncIterator[Any]:
    clock = Hand(datetime(2026, 3, 2, 8, 0, tzinfo=UTC))
    site = Site(name="St. Elsewhere", url="http://here", zone="Europe/Vienna")
    embedded = open_embedded(tmp_path / "data", site, clock=clock)
    made: list[House] = []

    def make(**settings: Any) -> House:
        service = build(embedded.kit, PortalSettings(**settings))
        made.append(House(embedded.kit, clock, build_app(embedded.kit, [service])))
        return made[-1]

    yield make
    for house in made:
        for browser in house.open:
            await browser.http.aclose()
    await embedded.close()


@pytest.fixture
def house(make_house: Any) -> House:
    made: House = make_house()
    return made
