"""A loopback server of Twilio's published contract: creating messages, errors, signed status callbacks."""

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest

ACCOUNT = "AC" + "0" * 32
TOKEN = "1" * 32


@dataclass
class TwilioServer:
    """`messages` are the forms it accepted. `errors` answers the next requests with (HTTP status,
    Twilio code) first; `fault` makes it misbehave after it took the message."""

    port: int = 0
    messages: list[dict[str, str]] = field(default_factory=list)
    errors: list[tuple[int, int]] = field(default_factory=list)
    fault: Literal["", "hang", "drop", "garbage", "huge", "html-503"] = ""
    requests: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def report(self, message: dict[str, str], status: str, code: str = "", token: str = TOKEN) -> int:
        """Call the message's StatusCallback as Twilio does; returns the HTTP status it got."""
        url = message["StatusCallback"]
        fields = {
            "MessageSid": message["Sid"],
            "MessageStatus": status,
            "AccountSid": ACCOUNT,
            "ErrorCode": code,
            "To": message["To"],
        }
        text = url + "".join(name + fields[name] for name in sorted(fields))
        signature = base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            response = await client.post(
                url,
                content=urlencode(fields),
                headers={
                    "content-type": "application/x-www-form-urlencoded",
                    "x-twilio-signature": signature,
                },
            )
        return response.status_code

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests += 1
        method, path, _ = request.split(" ")
        wanted = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if headers.get("authorization") != wanted:
            return self._answer(writer, 401, _error(401, 20003))
        if (method, path) != ("POST", f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"):
            return self._answer(writer, 404, _error(404, 20404))
        if self.errors:
            status, code = self.errors.pop(0)
            return self._answer(writer, status, _error(status, code))
        if self.fault == "html-503":
            return self._raw(writer, 503, b"<html>busy</html>")
        form = dict(parse_qsl(body.decode(), strict_parsing=True))
        if "To" not in form or "Body" not in form or not ({"From", "MessagingServiceSid"} & set(form)):
            return self._answer(writer, 400, _error(400, 21602))
        form["Sid"] = f"SM{len(self.messages):032d}"
        self.messages.append(form)
        if self.fault == "hang":
            await asyncio.sleep(3600)
        if self.fault == "drop":
            writer.transport.abort()
            return None
        if self.fault == "garbage":
            return self._raw(writer, 201, b"\x00\xff not json")
        if self.fault == "huge":
            return self._raw(writer, 201, b" " * 1_000_000)
        answer = {
            "sid": form["Sid"],
            "account_sid": ACCOUNT,
            "status": "queued",
            "to": form["To"],
            "from": form.get("From"),
            "body": form["Body"],
            "error_code": None,
            "error_message": None,
            "num_segments": "1",
            "direction": "outbound-api",
            "date_created": "Thu, 24 Aug 2023 05:01:45 +0000",
        }
        return self._answer(writer, 201, answer)

    def _answer(self, writer: asyncio.StreamWriter, status: int, content: dict[str, Any]) -> None:
        self._raw(writer, status, json.dumps(content).encode())

    def _raw(self, writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)


def _error(status: int, code: int) -> dict[str, Any]:
    # Twilio repeats the number in its words: they must not get into our logs.
    return {"code": code, "message": "The 'To' number +4315550100 is wrong", "status": status}


@pytest.fixture
async def twilio_server() -> AsyncIterator[TwilioServer]:
    twilio = TwilioServer()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await twilio.serve(reader, writer)
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    twilio.port = server.sockets[0].getsockname()[1]
    yield twilio
    server.close()
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
