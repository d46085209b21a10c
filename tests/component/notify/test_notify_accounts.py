"""Mails about accounts: at once, one each, with a link that stands nowhere in the clear."""

from datetime import timedelta

import pytest

from kit.seal import MAIL, seal
from kit.service import Kit
from schemas.portal import AccountMailRequested
from schemas.shapes import Person
from services.notify.models import NOTICES, State
from tests.component.notify.test_notify_service import quiet, running, settings
from tests.conftest import settle
from tests.neighbours.mail import MailServer

SECRET = "/welcome/the-secret-of-this-link"


def asked(
    kit: Kit, kind: str, step: str = "", *, lasts: timedelta = timedelta(days=7)
) -> AccountMailRequested:
    now = kit.clock()
    return AccountMailRequested.first(
        time=now,
        key="a1",
        correlation_id="c1",
        step=step or kind,
        kind=kind,
        account_id="a1",
        to=Person(name="Anna", email="anna@example.org"),
        language="de",
        sealed=seal(kit.site_key, MAIL, SECRET),
        expires_at=now + lasts,
    )


@pytest.mark.parametrize("kind", ["invite", "reset", "password-changed", "second-factor-off", "upload-link"])
async def test_a_mail_about_an_account_brings_its_link(
    kit_env: Kit, mail_server: MailServer, kind: str
) -> None:
    async with running(kit_env, settings(mail_server, per_hour=1)):
        for step in ("first", "second"):
            await kit_env.bus.publish([asked(kit_env, kind, step)])
        notices = await quiet(kit_env, 2)
    message = mail_server.received[0].message
    body = message.get_body(("plain",))
    assert body is not None
    assert SECRET in body.get_content()
    assert message["content-language"] == "de"
    assert len(mail_server.received) == 2
    for notice in notices:
        assert notice.state is State.SENT
        assert "secret-of-this-link" not in notice.model_dump_json()


async def test_a_link_that_is_over_is_not_sent(kit_env: Kit) -> None:
    async with running(kit_env, settings()):
        await kit_env.bus.publish([asked(kit_env, "reset", lasts=timedelta(seconds=-1))])
        await settle(kit_env)
    assert (await kit_env.documents.find(NOTICES)).items == []
