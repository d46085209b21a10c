"""Notices onto the wire: the ledger, interruptions, limits, digests."""

import pytest

from kit.errors import NoSpace, PermanentError, StoreAway, TransientError, Unavailable, Uncertain
from schemas.notify import NoticeSent
from schemas.shapes import Person
from services.notify import tasks
from services.notify.models import CONTACTS, NEWS, Contacts, Kind, News, State
from services.notify.settings import NotifySettings
from tests.component.notify.conftest import SENDER, Bench
from tests.neighbours.mail import MailServer
from tests.neighbours.twilio import TwilioServer


async def test_sent_once_and_told(bench: Bench, mail_server: MailServer) -> None:
    ports = bench.ports(mail_port=mail_server.port)
    await tasks.deliver(ports, await bench.queue())
    await tasks.deliver(ports, await bench.notice())
    (received,) = mail_server.received
    assert received.recipients == ("clinic@example.org",)
    notice = await bench.notice()
    assert notice.state is State.SENT
    assert notice.due_at is None
    events = [event for _, event in await bench.kit.bus.read()]
    assert [type(event) for event in events] == [NoticeSent]
    assert events[0].cause == "e"


async def test_recipients_whose_submission_is_heard_of_late_are_told_after_all(bench: Bench) -> None:
    documents, now = bench.kit.documents, bench.clock()
    await bench.account(language="en")
    news = News(
        id="n", kind=Kind.IN_PACS, about="a" * 32, sender=SENDER, submissions=["s"], correlation_id="c",
        cause="e", facts={"images": 3}, heard=1, round=1, due_at=now, attempts=1,
    )  # fmt: skip
    await documents.save(NEWS, news)
    with pytest.raises(TransientError):
        await tasks.tell(bench.ports(), news)
    assert await bench.notices() == []
    news.attempts = 4
    with pytest.raises(TransientError):
        await tasks.tell(bench.ports(), news)
    assert [notice.recipient for notice in await bench.notices()] == ["clinic@example.org"]
    people = [Person(name="Dr. Late", email="late@example.org")]
    await documents.save(CONTACTS, Contacts(id="s", sender=SENDER, recipients=people))
    await tasks.tell(bench.ports(), news)
    told = [notice.recipient for notice in await bench.notices()]
    assert sorted(told) == ["clinic@example.org", "late@example.org"]
    settled = await documents.get(NEWS, "n")
    assert settled is not None
    assert settled.due_at is None


@pytest.mark.parametrize("trouble", [StoreAway("document store", "away"), NoSpace("full")])
async def test_a_store_that_is_away_after_the_message_went_out_costs_no_second_message(
    bench: Bench, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    monkeypatch.setattr(tasks, "_AGAIN_S", 0.01)
    save, failures = bench.kit.documents.save, [trouble] * 3

    async def failing(collection, doc, emits=()):
        if doc.state is State.SENT and failures:
            raise failures.pop()
        return await save(collection, doc, emits)

    notice = await bench.queue()
    monkeypatch.setattr(bench.kit.documents, "save", failing)
    await tasks.deliver(bench.ports(mail_port=mail_server.port), notice)
    assert (await bench.notice()).state is State.SENT
    assert len(mail_server.received) == 1
    assert failures == []


async def test_an_interrupted_attempt_is_repeated_once_and_said(
    bench: Bench, mail_server: MailServer
) -> None:
    ports = bench.ports(mail_port=mail_server.port)
    await bench.queue(state=State.SENDING, attempts=1)
    await tasks.deliver(ports, await bench.notice())
    notice = await bench.notice()
    assert notice.state is State.SENT
    assert notice.possible == 1
    assert any("may come twice" in entry.text for entry in notice.ledger)
    assert len(mail_server.received) == 1


async def test_a_repeat_has_the_same_message_id(bench: Bench, mail_server: MailServer) -> None:
    ports = bench.ports(mail_port=mail_server.port)
    mail_server.drop = True
    with pytest.raises(Uncertain):
        await tasks.deliver(ports, await bench.queue())
    mail_server.drop = False
    await tasks.deliver(ports, await bench.notice())
    first, second = mail_server.received
    assert first.message["message-id"] == second.message["message-id"]
    assert first.content == second.content


async def test_never_a_third_time(bench: Bench, mail_server: MailServer) -> None:
    ports = bench.ports(mail_port=mail_server.port)
    mail_server.drop = True
    await bench.queue()
    for _ in range(2):
        with pytest.raises(Uncertain):
            await tasks.deliver(ports, await bench.notice())
    with pytest.raises(PermanentError, match="may have arrived"):
        await tasks.deliver(ports, await bench.notice())
    assert len(mail_server.received) == 2


async def test_a_refusal_is_no_repeat(bench: Bench, mail_server: MailServer) -> None:
    ports = bench.ports(mail_port=mail_server.port)
    mail_server.data_reply = "452 4.3.1 full"
    await bench.queue()
    for _ in range(3):
        with pytest.raises(Unavailable):
            await tasks.deliver(ports, await bench.notice())
    mail_server.data_reply = ""
    await tasks.deliver(ports, await bench.notice())
    notice = await bench.notice()
    assert notice.possible == 0
    assert notice.state is State.SENT


@pytest.mark.parametrize(("channel", "recipient"), [("email", "a@b\r\nBcc: x@y"), ("sms", "01234")])
async def test_an_unusable_address_fails_at_once(
    bench: Bench, mail_server: MailServer, channel: str, recipient: str
) -> None:
    ports = bench.ports(mail_port=mail_server.port)
    notice = await bench.queue(channel=channel, recipient=recipient)  # type: ignore[arg-type]
    with pytest.raises(PermanentError, match="not a"):
        await tasks.deliver(ports, notice)
    await tasks.give_up(ports, await bench.notice(), "not an address")
    assert (await bench.notice()).state is State.FAILED
    assert [event.topic for _, event in await bench.kit.bus.read()] == ["notice-failed"]
    assert mail_server.connections == 0


async def test_too_many_for_one_address_become_one(bench: Bench, mail_server: MailServer) -> None:
    settings = NotifySettings(per_hour=2, staff=(Person(email="staff@example.org"),))
    ports = bench.ports(settings, mail_port=mail_server.port)
    kinds = [Kind.IN_PACS, Kind.IN_PACS, Kind.DECLINED, Kind.IN_PACS, Kind.ASKED]
    for number, kind in enumerate(kinds):
        await bench.queue(number, kind=kind)
    for number in range(5):
        await tasks.deliver(ports, await bench.notice(number))
    assert len(mail_server.received) == 2
    assert [(await bench.notice(number)).state for number in (2, 3, 4)] == [State.HELD] * 3
    assert (await bench.notice(2)).attempts <= 0

    bench.clock.move(hours=1, minutes=1)
    for number in (3, 2, 4, 3):
        await tasks.deliver(ports, await bench.notice(number))
    assert len(mail_server.received) == 3
    message = mail_server.received[-1].message
    assert message["subject"] == "3 messages from Test Hospital"
    body = message.get_body(("plain",))
    assert body is not None
    assert "Questions to you: 1" in body.get_content()
    assert [(await bench.notice(number)).state for number in (2, 3, 4)] == [
        State.SENT,
        State.COMBINED,
        State.COMBINED,
    ]


async def test_the_limit_is_each_address_s_own(bench: Bench, mail_server: MailServer) -> None:
    ports = bench.ports(NotifySettings(per_hour=1), mail_port=mail_server.port)
    await bench.queue(1)
    await bench.queue(2, recipient="other@example.org")
    for number in (1, 2):
        await tasks.deliver(ports, await bench.notice(number))
    assert len(mail_server.received) == 2


async def test_sms_asks_for_a_report(bench: Bench, twilio_server: TwilioServer) -> None:
    ports = bench.ports(sms_url=twilio_server.url)
    await tasks.deliver(ports, await bench.queue(7, "sms"))
    (message,) = twilio_server.messages
    assert message["StatusCallback"].endswith(f"/api/twilio/status?notice={7:032x}")
    assert (await bench.notice(7)).provider_id == message["Sid"]


async def test_sms_that_may_have_gone_out_is_repeated_once(bench: Bench, twilio_server: TwilioServer) -> None:
    ports = bench.ports(sms_url=twilio_server.url)
    twilio_server.fault = "drop"
    await bench.queue(1, "sms")
    for _ in range(2):
        with pytest.raises(Uncertain):
            await tasks.deliver(ports, await bench.notice())
    with pytest.raises(PermanentError):
        await tasks.deliver(ports, await bench.notice())
    assert len(twilio_server.messages) == 2
