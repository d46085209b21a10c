"""SMS by Twilio's REST API (Messages resource, 2010-04-01) and the signature of its callbacks.

The twilio client is loaded on use; the bytes go through httpx, so that answers are capped and it is
known whether a request had left when something broke. Errors name Twilio's codes, never its words:
those repeat the phone number.
"""

import ipaddress
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from kit.errors import PermanentError, Unavailable, Uncertain
from kit.saying import say

if TYPE_CHECKING:
    from twilio.rest import Client

_NEIGHBOUR = "Twilio"
_ANSWER_LIMIT = 256 * 1024

_OUR_CONFIGURATION = {20003, 20404, 21212, 21603, 21606, 21660}
"""Credentials, account or sending number are wrong here: mending them lets the message go out later."""


class _NotSent(Exception):
    """The request did not leave."""


class _NoAnswer(Exception):
    """The request left, wholly or in part, and no usable answer came."""


@dataclass(frozen=True)
class Twilio:
    """`sender` is a phone number (E.164) or a messaging service's SID (MG…)."""

    account_sid: str
    auth_token: str = field(repr=False)
    sender: str
    api_url: str = "https://api.twilio.com"
    timeout_s: float = 20.0

    async def send(self, recipient: str, text: str, *, status_callback: str | None = None) -> str:
        """Returns the message SID. Raises PermanentError, Unavailable or Uncertain as in kit.mail."""
        from twilio.base.exceptions import TwilioRestException, TwilioServiceException

        service = self.sender.startswith("MG")
        options: dict[str, Any] = {"messaging_service_sid" if service else "from_": self.sender}
        if status_callback:
            options["status_callback"] = status_callback
        try:
            message = await self._client.messages.create_async(to=recipient, body=text, **options)
        except (TwilioRestException, TwilioServiceException) as error:
            raise _judged(int(error.status), int(error.code or 0)) from None
        except _NotSent:
            raise Unavailable(_NEIGHBOUR, say("sms-away", "can't be reached")) from None
        except (_NoAnswer, ValueError, KeyError, TypeError, AttributeError):
            raise Uncertain(
                say("sms-unanswered", "Twilio was given the message and did not answer properly")
            ) from None
        if not isinstance(message.sid, str) or not message.sid:
            raise Uncertain(say("sms-no-sid", "Twilio answered without a message SID"))
        return message.sid

    def signed(self, url: str, fields: Mapping[str, str], signature: str) -> bool:
        """Whether Twilio made this callback: X-Twilio-Signature over the full URL as Twilio called it
        and the form's fields, keyed with the auth token (Twilio, "Validating requests")."""
        from twilio.request_validator import RequestValidator

        return bool(RequestValidator(self.auth_token).validate(url, dict(fields), signature))

    @cached_property
    def _client(self) -> "Client":
        from twilio.http import AsyncHttpClient
        from twilio.http.response import Response
        from twilio.rest import Client

        timeout, own = self.timeout_s, not _loopback(self.api_url)

        class Wire(AsyncHttpClient):  # type: ignore[misc]  # the client has no types
            async def request(
                self,
                method: str,
                uri: str,
                params: Mapping[str, Any] | None = None,
                data: Mapping[str, Any] | None = None,
                headers: Mapping[str, str] | None = None,
                auth: tuple[str, str] | None = None,
                **_: Any,
            ) -> Any:
                async with httpx.AsyncClient(timeout=timeout, trust_env=own) as client:
                    request = client.build_request(method, uri, params=params, data=data, headers=headers)
                    status, text = await _exchange(client, request, auth)
                return Response(status, text)

        client = Client(
            self.account_sid,
            self.auth_token,
            http_client=Wire(logging.getLogger(__name__), is_async=True),
            # Nothing is read from the process's environment.
            environment={"": ""},
        )
        client.api.base_url = self.api_url.rstrip("/")
        return client


async def _exchange(
    client: httpx.AsyncClient, request: httpx.Request, auth: tuple[str, str] | None
) -> tuple[int, str]:
    try:
        response = await client.send(request, auth=auth, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _ANSWER_LIMIT:
                    raise _NoAnswer("the answer is too large")
        finally:
            await response.aclose()
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError):
        raise _NotSent("can't be reached") from None
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL):
        raise _NoAnswer("the connection broke") from None
    return response.status_code, _text(bytes(body), response.status_code)


def _text(body: bytes, status: int) -> str:
    """A proxy's HTML error page is no JSON; its status alone decides."""
    try:
        decoded = json.loads(body)
    except ValueError:
        decoded = None
    if isinstance(decoded, dict) or status < 400:
        return body.decode("utf-8", "replace")
    return "{}"


def _judged(status: int, code: int) -> Exception:
    shown = f"{status}, code {code}" if code and code != status else str(status)
    if status >= 500:
        return Unavailable(_NEIGHBOUR, say("sms-trouble", "has trouble of its own (%(code)s)", code=shown))
    if status == 429 or code == 20429:
        return Unavailable(_NEIGHBOUR, say("sms-slow-down", "asks to slow down (%(code)s)", code=shown))
    if status in (401, 403, 404, 408) or code in _OUR_CONFIGURATION:
        form = "does not accept this account or its sending number (%(code)s)"
        return Unavailable(_NEIGHBOUR, say("sms-account", form, code=shown))
    if status < 400:
        return Uncertain(say("sms-odd", "Twilio answered out of turn (%(code)s)", code=shown))
    return PermanentError(
        say("sms-refused", "Twilio refused the message or the number (%(code)s)", code=shown)
    )


def _loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
