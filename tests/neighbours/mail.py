"""A real SMTP server (aiosmtpd) in the test's own loop that keeps what it gets and misbehaves on demand."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Literal, cast

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.neighbours.certificates import Pair


@dataclass(frozen=True)
class Received:
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    encrypted: bool
    login: str | None

    @property
    def message(self) -> EmailMessage:
        return cast(EmailMessage, message_from_bytes(self.content, policy=policy.default))


@dataclass
class MailServer:
    """`received` is what it said 250 to, or kept before it dropped the connection.

    `recipient_replies`: what to answer RCPT TO with, by address ("550 5.1.1 nobody here");
    `data_reply`: what to answer the end of DATA with instead of 250;
    `hang`: where to fall silent; `drop`: close the connection after the message was taken, before 250.
    """

    host: str
    port: int = 0
    received: list[Received] = field(default_factory=list)
    recipient_replies: dict[str, str] = field(default_factory=dict)
    data_reply: str = ""
    hang: Literal["", "connect", "data"] = ""
    drop: bool = False
    connections: int = 0

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self.recipient_replies.get(address)
        if reply is not None:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.hang == "data":
            await asyncio.sleep(3600)
        if self.data_reply:
            return self.data_reply
        login = session.auth_data.login.decode() if isinstance(session.auth_data, LoginPassword) else None
        self.received.append(
            Received(
                sender=envelope.mail_from or "",
                recipients=tuple(envelope.rcpt_tos),
                content=cast(bytes, envelope.content),
                encrypted=session.ssl is not None,
                login=login,
            )
        )
        if self.drop:
            transport = cast(asyncio.Transport, server.transport)
            transport.abort()
            await asyncio.sleep(3600)
        return "250 OK queued as 1"


class _Door(SMTP):
    async def _handle_client(self) -> None:
        if self.event_handler.hang == "connect":
            await asyncio.sleep(3600)
        self.event_handler.connections += 1
        await super()._handle_client()


StartMail = Callable[..., Awaitable[MailServer]]


@pytest.fixture
async def start_mail() -> AsyncIterator[StartMail]:
    """`await start_mail(certificate=pair, tls="starttls"|"tls", login=("user", "password"))`."""
    servers: list[asyncio.Server] = []
    doors: list[_Door] = []

    async def start(
        *,
        certificate: Pair | None = None,
        tls: Literal["none", "starttls", "tls"] = "none",
        login: tuple[str, str] | None = None,
    ) -> MailServer:
        loop = asyncio.get_running_loop()
        mail = MailServer("127.0.0.1")
        context = _context(certificate) if certificate is not None and tls != "none" else None
        parameters: dict[str, Any] = {"hostname": "mail.test", "enable_SMTPUTF8": True, "loop": loop}
        if context is not None and tls == "starttls":
            parameters.update(tls_context=context, require_starttls=True)
        if login is not None:
            parameters.update(
                auth_required=True, authenticator=_authenticator(*login), auth_require_tls=tls == "starttls"
            )

        def door() -> _Door:
            doors.append(_Door(mail, **parameters))
            return doors[-1]

        server = await loop.create_server(door, "127.0.0.1", 0, ssl=context if tls == "tls" else None)
        servers.append(server)
        mail.port = server.sockets[0].getsockname()[1]
        return mail

    yield start
    for server in servers:
        server.close()
    for door in doors:
        if door.transport is not None:
            door.transport.close()
    await asyncio.sleep(0)


@pytest.fixture
async def mail_server(start_mail: StartMail) -> MailServer:
    """Without TLS and without login."""
    return await start_mail()


def _context(certificate: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


def _authenticator(user: str, password: str) -> Callable[..., AuthResult]:
    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        well = isinstance(data, LoginPassword) and (data.login, data.password) == (
            user.encode(),
            password.encode(),
        )
        return AuthResult(success=well, handled=well, auth_data=data if well else None)

    return check
