"""The whole service: events in, messages out, reports back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
import uvicorn

from kit.clock import utc_now
from kit.documents.port import Doc
from kit.identity import ACCOUNTS, TOKENS, Account, Token, token_id
from kit.service import Kit, Service
from kit.web import build_app
from schemas.envelope import Event
from schemas.forward import ForwardFailed, StudyForwarded
from schemas.portal import StudyDecided
from schemas.shapes import DecidedBy, Decision, Person, Proof, Study
from schemas.upload import SubmissionOpened
from schemas.validate import SubmissionValidated
from services.notify.app import build
from services.notify.models import NEWS, NOTICES, Notice, State
from services.notify.settings import EmailSettings, NotifySettings, SmsSettings
from tests.component.notify.conftest import NOW, SENDER, Bench
from tests.conftest import settle
from tests.neighbours.mail import MailServer
from tests.neighbours.process import free_port
from tests.neighbours.twilio import ACCOUNT, TOKEN, TwilioServer

STUDY, SUBMISSION = "a" * 32, "b" * 32


def settings(mail: MailServer | None = None, **more: object) -> NotifySettings:
    values: dict[str, object] = {
        "staff": (Person(name="Staff", email="staff@example.org"),),
        "combine_s": 0.3,
        "combine_at_most_s": 1,
        **more,
    }
    if mail is not None:
        values["email"] = EmailSettings(
            host=mail.host, port=mail.port, tls="none", sender="noreply@example.org", timeout_s=1
        )
    return NotifySettings.model_validate(values)


@asynccontextmanager
async def running(kit: Kit, chosen: NotifySettings) -> AsyncIterator[Service]:
    service = build(kit, chosen)
    for start in service.start:
        await start()
    await kit.bus.start()
    yield service
    for stop in service.stop:
        await stop()


async def quiet(kit: Kit, expected: int) -> list[Notice]:
    """Wait until that many notices exist and none is due or under way."""
    async with asyncio.timeout(30):
        while True:
            await settle(kit)
            notices = (await kit.documents.find(NOTICES, order="created_at")).items
            news = (await kit.documents.find(NEWS)).items
            if len(notices) >= expected and all(item.due_at is None for item in [*notices, *news]):
                return notices
            await asyncio.sleep(0.02)


def opened(submission: str = SUBMISSION, *recipients: Person) -> SubmissionOpened:
    return SubmissionOpened.first(
        time=NOW,
        key=submission,
        correlation_id=submission,
        submission_id=submission,
        sender=SENDER,
        recipients=recipients or (Person(name="Dr. Who", email="who@example.org"),),
    )


def forwarded(delivery: str, decision: str = "d1") -> StudyForwarded:
    return StudyForwarded.first(
        time=NOW,
        key=STUDY,
        step=delivery,
        correlation_id=SUBMISSION,
        study_id=STUDY,
        study_revision=1,
        decision_id=decision,
        delivery_id=delivery,
        destination="pacs",
        sender=SENDER,
        submissions=(SUBMISSION,),
        instances=20,
        proof=Proof(kind="storage-commitment", time=NOW, instances=20),
    )


def forward_failed(delivery: str) -> ForwardFailed:
    return ForwardFailed.first(
        time=NOW,
        key=STUDY,
        step=delivery,
        correlation_id=SUBMISSION,
        study_id=STUDY,
        study_revision=1,
        decision_id="d1",
        delivery_id=delivery,
        destination="pacs",
        sender=SENDER,
        submissions=(SUBMISSION,),
        sent=3,
        instances=20,
        reason="the PACS refused",
    )


def decided(action: str) -> StudyDecided:
    study = Study(
        id=STUDY,
        revision=1,
        origin="clinic",
        sender=SENDER,
        study_instance_uid="1.2.3",
        patient={"name": "Secret^Patient", "patient_id": "PID-4711"},
        submissions=(SUBMISSION,),
        arrived_at=NOW,
        updated_at=NOW,
    )
    decision = Decision(
        id=f"decision-{action}",
        action=action,  # type: ignore[arg-type]
        study_id=STUDY,
        study_revision=1,
        match_revision=0,
        by=DecidedBy(kind="person", id="p", name="Clerk"),
        time=NOW,
        reason="Secret^Patient was here before",
    )
    return StudyDecided.first(
        time=NOW, key=STUDY, step=action, correlation_id=SUBMISSION, decision=decision, study=study
    )


async def test_the_sender_and_the_recipients_hear_of_problems(
    bench: Bench, kit_env: Kit, mail_server: MailServer, validated: Callable[..., SubmissionValidated]
) -> None:
    await bench.account(language="de")
    async with running(kit_env, settings(mail_server)):
        # The recipients' event comes behind the one that needs them.
        problem = validated(SUBMISSION, sent=3, stored=2, refused=1)
        await kit_env.bus.publish([problem])
        await asyncio.sleep(0.1)
        await kit_env.bus.publish([opened(), problem, validated("c" * 32, sent=1, stored=1)])
        notices = await quiet(kit_env, 2)
    assert {(n.recipient, n.language) for n in notices} == {
        ("clinic@example.org", "de"),
        ("who@example.org", "en"),
    }
    assert sorted(r.recipients[0] for r in mail_server.received) == ["clinic@example.org", "who@example.org"]
    assert all("BBBBBBBB" in r.message["subject"] for r in mail_server.received)


async def test_a_recipient_named_by_account_is_reached_as_the_account_says(
    bench: Bench, kit_env: Kit, mail_server: MailServer, validated: Callable[..., SubmissionValidated]
) -> None:
    await bench.account()
    here = Account(id="okafor", name="Dr. Okafor", email="ines@hospital.example", language="de")
    gone = Account(id="gone", name="Dr. Gone", email="gone@hospital.example", disabled=True)
    for account in (here, gone):
        await kit_env.documents.save(ACCOUNTS, account)
    people = (Person(name="Dr. Okafor", account_id="okafor"), Person(name="Dr. Gone", account_id="gone"))
    async with running(kit_env, settings(mail_server)):
        await kit_env.bus.publish(
            [opened(SUBMISSION, *people), validated(SUBMISSION, sent=3, stored=2, refused=1)]
        )
        notices = await quiet(kit_env, 2)
    assert {(n.recipient, n.language) for n in notices} == {
        ("clinic@example.org", "en"),
        ("ines@hospital.example", "de"),
    }


async def test_other_problems_are_told_anew_the_same_are_not(
    bench: Bench, kit_env: Kit, mail_server: MailServer, validated: Callable[..., SubmissionValidated]
) -> None:
    await bench.account()
    async with running(kit_env, settings(mail_server)):
        await kit_env.bus.publish([opened(), validated(SUBMISSION, 1, sent=3, refused=1, waiting=2)])
        await quiet(kit_env, 2)
        await kit_env.bus.publish([validated(SUBMISSION, 2, sent=3, refused=1, stored=2)])
        await quiet(kit_env, 2)
        await kit_env.bus.publish([validated(SUBMISSION, 3, sent=3, refused=2, stored=1)])
        assert len(await quiet(kit_env, 4)) == 4


async def test_one_mail_for_many_deliveries_and_no_patient_in_any(
    bench: Bench, kit_env: Kit, mail_server: MailServer
) -> None:
    await bench.account()
    events: list[Event] = [opened(), decided("decline"), decided("ask-sender"), decided("approve")]
    async with running(kit_env, settings(mail_server)):
        await kit_env.bus.publish([*events, *(forwarded(f"x{n}") for n in range(12))])
        notices = await quiet(kit_env, 5)
    assert sorted((n.kind.value, n.recipient) for n in notices) == [
        ("asked", "clinic@example.org"),
        ("declined", "clinic@example.org"),
        ("declined", "who@example.org"),
        ("in-pacs", "clinic@example.org"),
        ("in-pacs", "who@example.org"),
    ]
    assert len(mail_server.received) == 5
    for received in mail_server.received:
        for secret in (b"Secret", b"4711", b"1.2.3"):
            assert secret not in received.content


async def test_failure_goes_to_staff_and_a_gentle_word_to_the_others(
    bench: Bench, kit_env: Kit, mail_server: MailServer
) -> None:
    await bench.account()
    async with running(kit_env, settings(mail_server)):
        await kit_env.bus.publish([opened(), forward_failed("x1")])
        await quiet(kit_env, 3)
        await kit_env.bus.publish([forward_failed("x2")])
        notices = await quiet(kit_env, 4)
    assert sorted((n.kind.value, n.recipient) for n in notices) == [
        ("delayed", "clinic@example.org"),
        ("delayed", "who@example.org"),
        ("failed", "staff@example.org"),
        ("failed", "staff@example.org"),
    ]


async def test_what_is_not_configured_is_recorded_and_shown(
    bench: Bench, kit_env: Kit, validated: Callable[..., SubmissionValidated]
) -> None:
    await bench.account(phone="+4315550100", roles=["admin"], told_of_failures=False)
    await _token(kit_env)
    async with running(kit_env, NotifySettings(combine_s=0)) as service:
        events = [opened(), validated(SUBMISSION, sent=1, refused=1), forward_failed("x")]
        await kit_env.bus.publish(events)
        await quiet(kit_env, 7)
        said = {name: await check() for name, check in service.checks.items()}
        transport = httpx.ASGITransport(app=build_app(kit_env, [service]))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            headers = {"authorization": "Bearer secret"}
            shown = (await client.get("/api/notices?state=not-configured", headers=headers)).json()
            refused = await client.get("/api/notices")
            first = (await client.get("/api/notices?limit=2", headers=headers)).json()
            second = (
                await client.get("/api/notices", params={"cursor": first["cursor"]}, headers=headers)
            ).json()
            report = await client.post("/api/twilio/status", content=b"")
    assert all("not configured" in str(said[name]) for name in ("email", "sms"))
    assert "staff" in str(said["staff notices"])
    assert len(shown["items"]) == 7
    assert refused.status_code == 401
    assert len(first["items"]) == 2
    assert len(second["items"]) == 5
    assert report.status_code == 404


async def test_switched_off_sends_nothing(
    bench: Bench, kit_env: Kit, mail_server: MailServer, validated: Callable[..., SubmissionValidated]
) -> None:
    await bench.account()
    async with running(kit_env, settings(mail_server, off=True)):
        await kit_env.bus.publish([opened(), validated(SUBMISSION, sent=1, refused=1)])
        notices = await quiet(kit_env, 2)
    assert {notice.state for notice in notices} == {State.OFF}
    assert mail_server.received == []


async def test_a_refused_address_fails_alone(
    bench: Bench, kit_env: Kit, mail_server: MailServer, validated: Callable[..., SubmissionValidated]
) -> None:
    await bench.account()
    mail_server.recipient_replies["who@example.org"] = "550 5.1.1 nobody"
    async with running(kit_env, settings(mail_server)):
        await kit_env.bus.publish([opened(), validated(SUBMISSION, sent=1, refused=1)])
        notices = await quiet(kit_env, 2)
    states = {notice.recipient: notice for notice in notices}
    assert states["clinic@example.org"].state is State.SENT
    assert states["who@example.org"].state is State.FAILED
    assert "550 5.1.1" in states["who@example.org"].last_error


async def test_a_server_that_comes_back_gets_the_mail(
    bench: Bench, kit_env: Kit, mail_server: MailServer, validated: Callable[..., SubmissionValidated]
) -> None:
    await bench.account()
    mail_server.data_reply = "451 4.3.0 not now"
    async with running(kit_env, settings(mail_server)):
        await kit_env.bus.publish([opened(), validated(SUBMISSION, sent=1, refused=1)])
        async with asyncio.timeout(20):
            while mail_server.connections < 2:
                await asyncio.sleep(0.05)
        mail_server.data_reply = ""
        await quiet(kit_env, 2)
    assert len(mail_server.received) == 2


async def test_a_restart_goes_on_where_it_was(
    bench: Bench, kit_env: Kit, mail_server: MailServer, validated: Callable[..., SubmissionValidated]
) -> None:
    """A process that died while sending: its successor does not wait for the lease."""
    later = utc_now() + timedelta(hours=1)
    await bench.queue(
        1, state=State.SENDING, attempts=1, due_at=utc_now(), lease_owner="dead", lease_until=later
    )
    async with running(kit_env, settings(mail_server)):
        (notice,) = await quiet(kit_env, 1)
    assert notice.state is State.SENT
    assert notice.possible == 1


async def test_reports_of_twilio(bench: Bench, kit_env: Kit, twilio_server: TwilioServer) -> None:
    port = free_port()
    await bench.account(email=None, phone="+43 1 555 0100", roles=["admin"])
    sms = SmsSettings(
        account_sid=ACCOUNT,
        auth_token=TOKEN,
        sender="+15005550006",
        api_url=twilio_server.url,
        status_url=f"http://127.0.0.1:{port}",
    )
    async with running(kit_env, settings(sms=sms)) as service:
        config = uvicorn.Config(build_app(kit_env, [service]), port=port, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await kit_env.bus.publish([opened(SUBMISSION, Person(name="nobody")), decided("decline")])
        (notice,) = await quiet(kit_env, 1)
        assert notice.state is State.SENT
        (message,) = twilio_server.messages
        while not server.started:
            await asyncio.sleep(0.01)
        assert await twilio_server.report(message, "sent", token="wrong") == 403
        forged = {**message, "StatusCallback": message["StatusCallback"][:-1] + "x"}
        assert await twilio_server.report(forged, "sent") == 404
        assert await twilio_server.report(message, "sent") == 204
        assert await twilio_server.report(message, "queued") == 204
        assert await twilio_server.report(message, "whatever") == 204
        assert (await _again(kit_env, notice)).provider_status == "sent"
        assert await twilio_server.report(message, "undelivered", "30003") == 204
        assert await twilio_server.report(message, "undelivered", "30003") == 204
        async with httpx.AsyncClient(trust_env=False) as client:
            huge = await client.post(message["StatusCallback"], content=b"x" * 100_000)
        server.should_exit = True
        await serving
    assert huge.status_code == 413
    failed = await _again(kit_env, notice)
    assert failed.state is State.FAILED
    assert "30003" in failed.last_error
    topics = [event.topic for _, event in await kit_env.bus.read() if event.topic.startswith("notice")]
    assert topics == ["notice-sent", "notice-failed"]


@pytest.mark.parametrize("hang", [False, True])
async def test_the_check_says_what_is_wrong(kit_env: Kit, mail_server: MailServer, hang: bool) -> None:
    mail_server.hang = "connect" if hang else ""
    service = build(replace(kit_env), settings(mail_server))
    said = await service.checks["email"]()
    assert (said is None) is not hang
    if said:
        assert "did not answer in time" in str(said)


async def _again(kit: Kit, notice: Notice) -> Notice:
    found = await kit.documents.get(NOTICES, notice.id)
    assert isinstance(found, Doc)
    return found


async def _token(kit: Kit) -> None:
    await kit.documents.save(TOKENS, Token(id=token_id("secret"), account_id="clinic", created_at=utc_now()))
