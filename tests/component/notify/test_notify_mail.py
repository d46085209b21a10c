"""The SMTP client against a real server that is well, encrypted, unwilling, silent or gone."""

import asyncio
import logging

import pytest

from kit.errors import PermanentError, Unavailable, Uncertain
from kit.mail import MailServer as Smtp
from tests.neighbours.certificates import Authority, Pair
from tests.neighbours.mail import MailServer, StartMail
from tests.neighbours.process import free_port

MESSAGE = b"Subject: hello\r\n\r\n.a line that begins with a dot\r\n"


def client(mail: MailServer, **more: object) -> Smtp:
    values = {"tls": "none", "timeout_s": 5.0, **more}
    return Smtp(mail.host, mail.port, **values)  # type: ignore[arg-type]


async def test_plain(mail_server: MailServer) -> None:
    assert await client(mail_server).send("a@example.org", "b@example.org", MESSAGE) == "250"
    (received,) = mail_server.received
    assert received.sender == "a@example.org"
    assert received.content == MESSAGE


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_encrypted_and_logged_in(
    start_mail: StartMail, authority: Authority, server_certificate: Pair, tls: str
) -> None:
    login = ("user", "secret") if tls == "starttls" else None
    mail = await start_mail(certificate=server_certificate, tls=tls, login=login)
    credentials = {"user": "user", "password": "secret"} if login else {}
    smtp = client(mail, tls=tls, ca_file=str(authority.certificate), **credentials)
    await smtp.probe()
    await smtp.send("a@example.org", "b@example.org", MESSAGE)
    (received,) = mail.received
    assert received.encrypted or tls == "tls"
    assert received.login == ("user" if login else None)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_an_untrusted_certificate_gets_nothing(
    start_mail: StartMail, server_certificate: Pair, tls: str
) -> None:
    mail = await start_mail(certificate=server_certificate, tls=tls)
    with pytest.raises(Unavailable, match="not trusted"):
        await client(mail, tls=tls).send("a@example.org", "b@example.org", MESSAGE)
    assert mail.received == []


async def test_no_starttls_no_mail(mail_server: MailServer) -> None:
    with pytest.raises(Unavailable, match="STARTTLS"):
        await client(mail_server, tls="starttls").send("a@example.org", "b@example.org", MESSAGE)
    assert mail_server.received == []


async def test_tls_against_a_plain_server(mail_server: MailServer) -> None:
    with pytest.raises(Unavailable, match=r"encryption|in time"):
        await client(mail_server, tls="tls", timeout_s=1.0).send("a@example.org", "b@example.org", MESSAGE)


async def test_a_wrong_password_is_said_and_never_shown(
    start_mail: StartMail,
    authority: Authority,
    server_certificate: Pair,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "aiosmtplib")
    mail = await start_mail(certificate=server_certificate, tls="starttls", login=("user", "right"))
    smtp = client(mail, tls="starttls", ca_file=str(authority.certificate), user="user", password="hush-hush")
    with pytest.raises(Unavailable, match=r"refused the login \(535") as caught:
        await smtp.probe()
    assert "hush-hush" not in str(caught.value)
    assert "hush-hush" not in repr(smtp)
    assert "hush-hush" not in caplog.text


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("550 5.1.1 <b@example.org>: nobody here", PermanentError),
        ("451 4.7.1 <b@example.org>: greylisted", Unavailable),
        ("421 4.3.2 shutting down", Unavailable),
    ],
)
async def test_a_refused_address(mail_server: MailServer, reply: str, error: type[Exception]) -> None:
    mail_server.recipient_replies["b@example.org"] = reply
    with pytest.raises(error, match=reply[:9].replace(".", r"\.")) as caught:
        await client(mail_server).send("a@example.org", "b@example.org", MESSAGE)
    assert "example.org" not in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "error"), [("554 5.7.1 spam", PermanentError), ("452 4.3.1 full", Unavailable)]
)
async def test_a_refused_message(mail_server: MailServer, reply: str, error: type[Exception]) -> None:
    mail_server.data_reply = reply
    with pytest.raises(error, match=reply[:9]):
        await client(mail_server).send("a@example.org", "b@example.org", MESSAGE)


async def test_silence_at_the_door_is_not_sent(mail_server: MailServer) -> None:
    mail_server.hang = "connect"
    with pytest.raises(Unavailable, match="in time"):
        await client(mail_server, timeout_s=0.3).send("a@example.org", "b@example.org", MESSAGE)


async def test_silence_after_the_message_is_uncertain(mail_server: MailServer) -> None:
    mail_server.hang = "data"
    with pytest.raises(Uncertain):
        await client(mail_server, timeout_s=0.3).send("a@example.org", "b@example.org", MESSAGE)


async def test_a_drop_after_the_message_is_uncertain(mail_server: MailServer) -> None:
    mail_server.drop = True
    with pytest.raises(Uncertain):
        await client(mail_server).send("a@example.org", "b@example.org", MESSAGE)
    assert len(mail_server.received) == 1


async def test_nobody_there() -> None:
    with pytest.raises(Unavailable, match="can't be reached"):
        await Smtp("127.0.0.1", free_port(), "none").send("a@example.org", "b@example.org", MESSAGE)


@pytest.mark.parametrize(
    "greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff\r\n", b"2" * 100_000, b""]
)
async def test_something_else_there(greeting: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(Unavailable):
        await Smtp("127.0.0.1", port, "none", timeout_s=1).send("a@example.org", "b@example.org", MESSAGE)
    server.close()
