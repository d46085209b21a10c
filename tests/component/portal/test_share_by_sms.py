"""A share link whose one-time code goes to a telephone, through Twilio's client and a server like theirs."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from anteroom.embedded import open_embedded
from kit.identity import ACCOUNTS, Account, Role
from kit.service import Kit, Site
from kit.web import build_app
from schemas.upload import SubmissionOpened
from schemas.validate import StudyArrived
from services.notify.app import build as build_notify
from services.notify.models import NOTICES
from services.notify.settings import NotifySettings, SmsSettings
from services.portal.app import build as build_portal
from services.portal.models import AUDIT
from services.portal.people.models import LOGINS, Login, login_id
from services.portal.people.passwords import hash_password
from services.portal.settings import PortalSettings
from tests.component.portal.browser import PASSWORD, Browser, Hand
from tests.conftest import settle
from tests.neighbours.twilio import ACCOUNT, TOKEN, TwilioServer
from tests.unit.portal.samples import NOW, SENDER, study

TELEPHONE = "+4315550100"


@dataclass
class Place:
    kit: Kit
    clock: Hand
    app: Any
    sms: TwilioServer

    async def text(self, number: int) -> str:
        """The n-th message that went out."""
        async with asyncio.timeout(30):
            while len(self.sms.messages) < number:
                await asyncio.sleep(0.02)
        message = self.sms.messages[number - 1]
        assert message["To"] == TELEPHONE
        return message["Body"]

    async def code(self, number: int) -> str:
        found = re.search(r"\b\d{6}\b", await self.text(number))
        assert found
        return found[0]


@pytest.fixture
async def place(tmp_path: Path, twilio_server: TwilioServer) -> AsyncIterator[Place]:
    clock = Hand(datetime.now(UTC))
    embedded = open_embedded(tmp_path / "data", Site(name="St. Elsewhere", url="http://here"), clock=clock)
    kit = embedded.kit
    sms = SmsSettings.model_validate(
        {"account_sid": ACCOUNT, "auth_token": TOKEN, "sender": "+15005550006", "api_url": twilio_server.url}
    )
    services = [build_portal(kit, PortalSettings()), build_notify(kit, NotifySettings(sms=sms))]
    for service in services:
        for start in service.start:
            await start()
    await kit.bus.start()
    opened = SubmissionOpened.first(
        time=NOW, key="sub1", correlation_id="sub1", submission_id="sub1", sender=SENDER
    )
    await kit.bus.publish(
        [opened, StudyArrived.first(time=NOW, key="s1", correlation_id="sub1", study=study())]
    )
    await settle(kit)
    clerk = "clerk@hospital.example"
    await kit.documents.save(ACCOUNTS, Account(id="clerk", name="Clerk", email=clerk, roles=[Role.APPROVE]))
    login = Login(
        id=login_id(clerk), account_id="clerk", email=clerk, password_hash=await hash_password(PASSWORD),
        password_at=clock(),
    )  # fmt: skip
    await kit.documents.save(LOGINS, login)
    yield Place(kit, clock, build_app(kit, services), twilio_server)
    for service in reversed(services):
        for stop in service.stop:
            await stop()
    await embedded.close()


async def shared(place: Place, contact: str = "+43 1 555 0100") -> str:
    """The path of a link made on the page, for that telephone."""
    async with Browser(place.app) as clerk:
        await clerk.sign_in("clerk@hospital.example")
        await clerk.get("/studies/s1/share")
        await clerk.post(
            "/studies/s1/share", label="Dr. Outside", contact=contact, protection="code", days="7"
        )
        found = re.search(r"http://here(/share/[\w-]+)", clerk.text)
        return found[1] if found else clerk.text


async def test_link_and_code_come_by_sms_and_open_the_study_once(place: Place):
    path = await shared(place)
    assert await place.text(1), "the link itself"
    assert path in await place.text(1)
    async with Browser(place.app, "10.9.9.9") as guest:
        await guest.get(path)
        assert "Send me the code" in guest.text
        await guest.post(f"{path}/code")
        code = await place.code(2)
        assert "link" not in await place.text(2), "the code travels alone"
        wrong = await guest.post(path, pin="000000" if code != "000000" else "111111")
        assert wrong.status_code == 403
        await guest.post(path, pin=code)
        assert guest.path == "/studies/s1", guest.text[:400]
        assert guest.status == 200
    async with Browser(place.app, "10.9.9.8") as other:
        await other.get(path)
        again = await other.post(path, pin=code)
        assert again.status_code == 403, "a code works once"
    said = str(
        [
            entry.model_dump()
            for entry in (await place.kit.documents.find(AUDIT, order="time", limit=100)).items
        ]
    )
    notices = (await place.kit.documents.find(NOTICES, order="created_at")).items
    assert code not in said + str([notice.model_dump() for notice in notices])
    assert {notice.channel for notice in notices} == {"sms"}


async def test_a_code_is_over_after_ten_minutes_and_a_new_one_replaces_it(place: Place):
    path = await shared(place)
    async with Browser(place.app, "10.9.9.9") as guest:
        await guest.get(path)
        await guest.post(f"{path}/code")
        first = await place.code(2)
        await guest.post(f"{path}/code")
        second = await place.code(3)
        if first != second:
            assert (await guest.post(path, pin=first)).status_code == 403
        place.clock.go(minutes=11)
        assert (await guest.post(path, pin=second)).status_code == 403
        await guest.post(f"{path}/code")
        await guest.post(path, pin=await place.code(4))
        assert guest.path == "/studies/s1"


async def test_whoever_asks_for_ever_more_codes_is_made_to_wait(place: Place):
    path = await shared(place)
    async with Browser(place.app, "10.9.9.9") as guest:
        await guest.get(path)
        statuses = [(await guest.post(f"{path}/code")).status_code for _ in range(12)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert len(place.sms.messages) <= 1 + statuses.count(200)


@pytest.mark.parametrize("contact", ["01 555 0100", "call me", ""])
async def test_a_number_that_nothing_can_be_sent_to_is_refused(place: Place, contact: str):
    said = await shared(place, contact)
    assert "with its country" in said or "needs an email address" in said
    assert place.sms.messages == []
