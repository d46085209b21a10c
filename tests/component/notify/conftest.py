"""A notify service on embedded adapters whose clock can be moved."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from kit.identity import ACCOUNTS, Account
from kit.mail import MailServer as Smtp
from kit.service import Kit
from kit.sms import Twilio
from schemas.shapes import Person, Sender, Tally
from schemas.validate import SubmissionValidated
from services.notify.messages import Sign
from services.notify.models import NOTICES, Channel, Kind, Notice
from services.notify.ports import Ports
from services.notify.settings import NotifySettings
from tests.neighbours.twilio import ACCOUNT, TOKEN

SENDER = Sender(id="clinic", name="Clinic", origin="clinic")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class MovingClock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Bench:
    kit: Kit
    clock: MovingClock

    def ports(
        self, settings: NotifySettings | None = None, *, mail_port: int = 0, sms_url: str = ""
    ) -> Ports:
        return Ports(
            documents=self.kit.documents,
            identity=self.kit.identity,
            clock=self.clock,
            settings=settings or NotifySettings(staff=(Person(name="Staff", email="staff@example.org"),)),
            sign=Sign("Test Hospital", "http://127.0.0.1:8080", "noreply@example.org"),
            mail=Smtp("127.0.0.1", mail_port, "none", timeout_s=1.0) if mail_port else None,
            sms=Twilio(ACCOUNT, TOKEN, "+15005550006", sms_url, timeout_s=1.0) if sms_url else None,
            status_url="http://127.0.0.1:1/api/twilio/status" if sms_url else "",
        )

    async def account(self, **fields: object) -> Account:
        values = {"id": "clinic", "name": "Clinic", "email": "clinic@example.org", **fields}
        return await self.kit.documents.save(ACCOUNTS, Account.model_validate(values))

    async def queue(self, number: int = 1, channel: Channel = "email", **fields: object) -> Notice:
        recipient = "clinic@example.org" if channel == "email" else "+4315550100"
        values = {
            "id": f"{number:032x}",
            "kind": Kind.IN_PACS,
            "channel": channel,
            "recipient": recipient,
            "language": "en",
            "about": "a" * 32,
            "reference": "AAAAAAAA",
            "facts": {"images": 3},
            "created_at": self.clock(),
            "correlation_id": "c",
            "cause": "e",
            "due_at": self.clock(),
            **fields,
        }
        return await self.kit.documents.save(NOTICES, Notice.model_validate(values))

    async def notice(self, number: int = 1) -> Notice:
        found = await self.kit.documents.get(NOTICES, f"{number:032x}")
        assert found is not None
        return found

    async def notices(self) -> list[Notice]:
        return (await self.kit.documents.find(NOTICES, order="created_at")).items


@pytest.fixture
def bench(kit_env: Kit) -> Bench:
    clock = MovingClock()
    return Bench(replace(kit_env, clock=clock), clock)


@pytest.fixture
def validated() -> Callable[..., SubmissionValidated]:
    def make(submission: str = "b" * 32, revision: int = 1, **tally: int) -> SubmissionValidated:
        return SubmissionValidated.first(
            time=NOW,
            key=submission,
            correlation_id=submission,
            step=str(revision),
            submission_id=submission,
            revision=revision,
            sender=SENDER,
            tally=Tally(**tally),
        )

    return make
