"""Email by SMTP: one message to one recipient over a connection of its own.

aiosmtplib is loaded on use. Errors name codes, never what the server said: servers repeat the
address they were given, and the login lives in the same exchange.
"""

import asyncio
import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from kit.errors import PermanentError, Unavailable, Uncertain
from kit.saying import say
from schemas.shapes import Said

if TYPE_CHECKING:
    from aiosmtplib import SMTP

_NEIGHBOUR = "mail server"
_ENHANCED = re.compile(r"^\s*([245]\.\d{1,3}\.\d{1,3})\b")
_QUIT_S = 2.0


@dataclass(frozen=True)
class MailServer:
    """`timeout_s` holds for each answer of the server; the whole exchange gets three times as long."""

    host: str
    port: int
    tls: Literal["none", "starttls", "tls"]
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    timeout_s: float = 30.0

    async def send(self, sender: str, recipient: str, message: bytes) -> str:
        """Give the message to the server; returns its word of acceptance (code only).

        Raises PermanentError (the address or the message is refused for good), Unavailable (not
        sent, later may do), Uncertain (all was given and no answer came).
        """
        from aiosmtplib import SMTPException, SMTPResponseException

        given = False
        try:
            async with asyncio.timeout(self.timeout_s * 3):
                client = await self._connect()
                try:
                    await self._envelope(client, sender, recipient)
                    given = True
                    answer = await client.data(message)
                finally:
                    await _leave(client)
        except SMTPResponseException as error:
            raise _judged(error.code, error.message, message=True) from None
        except (SMTPException, OSError, TimeoutError) as error:
            if given:
                raise Uncertain(
                    say("mail-unanswered", "the mail server took the message and did not answer")
                ) from None
            raise Unavailable(_NEIGHBOUR, _plain(error)) from None
        return str(answer.code)

    async def probe(self) -> None:
        """Connect, encrypt, log in, leave. Raises Unavailable."""
        from aiosmtplib import SMTPException

        try:
            async with asyncio.timeout(self.timeout_s):
                await _leave(await self._connect())
        except (SMTPException, OSError, TimeoutError) as error:
            raise Unavailable(_NEIGHBOUR, _plain(error)) from None

    async def _connect(self) -> "SMTP":
        from aiosmtplib import (
            SMTP,
            SMTPAuthenticationError,
            SMTPException,
            SMTPResponseException,
        )

        client = SMTP(
            hostname=self.host,
            port=self.port,
            local_hostname="localhost" if self.tls == "none" else None,
            timeout=self.timeout_s,
            use_tls=self.tls == "tls",
            # Its own, so that a server offering no STARTTLS is told apart from other trouble.
            start_tls=False,
            tls_context=ssl.create_default_context(cafile=self.ca_file or None)
            if self.tls != "none"
            else None,
        )
        try:
            await client.connect()
            if self.tls == "starttls":
                await client.starttls()
            if self.user:
                await client.login(self.user, self.password)
        except SMTPAuthenticationError as error:
            client.close()
            code = _code(error.code, error.message)
            said = say("mail-login", "refused the login (%(code)s)", code=code)
            raise Unavailable(_NEIGHBOUR, said) from None
        except SMTPResponseException as error:
            client.close()
            raise Unavailable(
                _NEIGHBOUR,
                say(
                    "mail-connection",
                    "refused the connection (%(code)s)",
                    code=_code(error.code, error.message),
                ),
            ) from None
        except (SMTPException, OSError, TimeoutError) as error:
            client.close()
            raise Unavailable(_NEIGHBOUR, _plain(error)) from None
        return client

    async def _envelope(self, client: "SMTP", sender: str, recipient: str) -> None:
        from aiosmtplib import SMTPRecipientRefused, SMTPSenderRefused

        try:
            await client.mail(sender)
        except SMTPSenderRefused as error:
            # Ours to mend: the message itself may still go out when that is done.
            raise Unavailable(
                _NEIGHBOUR,
                say(
                    "mail-own-address",
                    "refused our own address (%(code)s)",
                    code=_code(error.code, error.message),
                ),
            ) from None
        try:
            await client.rcpt(recipient)
        except SMTPRecipientRefused as error:
            raise _judged(error.code, error.message, message=False) from None


async def _leave(client: "SMTP") -> None:
    from aiosmtplib import SMTPException

    try:
        await client.quit(timeout=_QUIT_S)
    except (SMTPException, OSError, TimeoutError):
        client.close()


def _judged(code: int, answer: str, *, message: bool) -> Unavailable | PermanentError | Uncertain:
    """RFC 5321 4.2.1: 4yz may be tried again, 5yz may not. About the message, or about the address."""
    shown = _code(code, answer)
    if 500 <= code < 600:
        return PermanentError(
            say("mail-refused-message", "the mail server refused the message (%(code)s)", code=shown)
            if message
            else say("mail-refused-address", "the mail server refused the address (%(code)s)", code=shown)
        )
    if 400 <= code < 500:
        return Unavailable(
            _NEIGHBOUR,
            say("mail-not-now-message", "does not take the message for now (%(code)s)", code=shown)
            if message
            else say("mail-not-now-address", "does not take the address for now (%(code)s)", code=shown),
        )
    return Uncertain(say("mail-odd", "the mail server answered out of turn (%(code)s)", code=shown))


def _code(code: int, message: str) -> str:
    """The reply code with its enhanced status code (RFC 3463), without the server's own words."""
    enhanced = _ENHANCED.match(message)
    return f"{code} {enhanced[1]}" if enhanced else str(code)


def _plain(error: BaseException) -> Said:
    """What went wrong below SMTP, in words of our own."""
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, ssl.SSLCertVerificationError):
            return say(
                "mail-certificate",
                "its certificate is not trusted here (set ca_file when it is signed by your own authority)",
            )
        if isinstance(chain, ssl.SSLError):
            return say(
                "mail-encryption",
                "encryption could not be agreed upon (is the tls setting right for this port?)",
            )
        chain = chain.__cause__ or chain.__context__
    if isinstance(error, TimeoutError):
        return say("mail-late", "did not answer in time")
    if "STARTTLS" in str(error):
        return say("mail-no-starttls", "offers no STARTTLS, and nothing is sent unencrypted")
    if "AUTH" in str(error):
        return say("mail-no-login", "offers no login")
    if isinstance(error, ConnectionError | OSError):
        return say("mail-away", "can't be reached or ended the connection")
    return say("mail-no-smtp", "did not speak SMTP")
