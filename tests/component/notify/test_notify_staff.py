"""Who may approve is told of what fails, unless they do not want to be."""

from datetime import timedelta

from kit.identity import ACCOUNTS, GROUPS, Account, Group, Role
from kit.service import Kit
from schemas.forward import DestinationAway, DestinationBack
from services.notify.settings import NotifySettings
from tests.component.notify.conftest import NOW
from tests.component.notify.test_notify_service import forward_failed, opened, quiet, running, settings
from tests.neighbours.mail import MailServer

SINCE = NOW - timedelta(minutes=22)


async def house(kit: Kit) -> None:
    await kit.documents.save(GROUPS, Group(id="g1", name="Clerks", roles=[Role.APPROVE]))
    for name, fields in {
        "clerk": {"groups": ["g1"], "language": "de"},
        "chief": {"roles": ["admin"], "told_of_failures": False},
        "doctor": {"roles": ["view"]},
        "gone": {"roles": ["approve"], "disabled": True},
        "mute": {"roles": ["approve"], "email": None},
    }.items():
        values = {"id": name, "name": name, "email": f"{name}@example.org", **fields}
        await kit.documents.save(ACCOUNTS, Account.model_validate(values))


async def test_a_failed_delivery_is_told_to_whom_it_concerns(kit_env: Kit, mail_server: MailServer):
    await house(kit_env)
    async with running(kit_env, settings(mail_server)) as service:
        await kit_env.bus.publish([opened(), forward_failed("x")])
        notices = await quiet(kit_env, 2)
        assert await service.checks["staff notices"]() is None
    told = [(n.recipient, n.channel, n.language) for n in notices if n.kind == "failed"]
    assert sorted(told) == [("clerk@example.org", "email", "de"), ("staff@example.org", "email", "en")]


async def test_without_anybody_the_check_says_what_to_do(kit_env: Kit):
    async with running(kit_env, NotifySettings()) as service:
        said = await service.checks["staff notices"]()
        assert said is not None
        assert "who may approve" in str(said)
        await house(kit_env)
        assert await service.checks["staff notices"]() is None


async def test_a_destination_that_falls_silent_and_comes_back(kit_env: Kit, mail_server: MailServer):
    await house(kit_env)
    away = DestinationAway.first(
        time=NOW, key="main-pacs", correlation_id="d", destination="main-pacs", since=SINCE, waiting=7
    )
    back = DestinationBack.first(
        time=NOW, key="main-pacs", correlation_id="d", destination="main-pacs", since=SINCE
    )
    async with running(kit_env, settings(mail_server)):
        await kit_env.bus.publish([away, away])
        await quiet(kit_env, 2)
        await kit_env.bus.publish([back])
        notices = await quiet(kit_env, 4)
    assert sorted((n.kind.value, n.recipient) for n in notices) == [
        ("destination-away", "clerk@example.org"),
        ("destination-away", "staff@example.org"),
        ("destination-back", "clerk@example.org"),
        ("destination-back", "staff@example.org"),
    ]
    subjects = {str(message["Subject"]) for message in (one.message for one in mail_server.received)}
    assert "main-pacs antwortet seit 22 Minuten nicht" in subjects
    assert "main-pacs answers again" in subjects
