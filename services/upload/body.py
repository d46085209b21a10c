"""Request bodies read with a watch: every pause, the average rate and the length have a bound.

BodyRoute is the route class of all doors that take a body: it answers refusals itself, because an
answer given before the body was read has to end the connection, and because a token whose requests
keep being refused is slowed down.
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from kit.errors import NoSpace, Refused, TooLarge
from kit.sessions import COOKIE
from kit.web import answer
from services.upload.refusals import BrokenOff, Busy, ChecksumMismatch, Incomplete, SlowDown, TooSlow

_GRACE_S = 30.0
_LINGER_BYTES = 1 << 30
_LINGER_S = 10.0
_FAILURE_WINDOW_S = 60.0
_BUSY_S = 10


class Body:
    """The body of one request, chunk by chunk as it comes from the network."""

    def __init__(self, request: Request, *, timeout: float, min_rate: int, limit: int | None = None) -> None:
        """`timeout`: seconds a pause may last. `min_rate`: bytes a second on average, after half a
        minute. `limit`: bytes; a Content-Length beyond it is refused before anything is read."""
        declared = request.headers.get("content-length")
        self.declared = int(declared) if declared is not None and declared.isdigit() else None
        self._limit = limit
        if limit is not None and self.declared is not None and self.declared > limit:
            raise self._too_large()
        self._receive = request.receive
        self._timeout = timeout
        self._min_rate = min_rate
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self.last = self._began
        """Loop time at which the last chunk came."""
        self.received = 0
        self._waiting: asyncio.Timeout | None = None
        self._abandoned = False
        self._ended = False

    async def read(self) -> bytes:
        """The next chunk, b"" at the end. Raises BrokenOff, TooSlow, TooLarge."""
        while not self._ended:
            message = await self._next()
            if message["type"] == "http.disconnect":
                raise BrokenOff("broken-off", "The connection ended before the request was complete.")
            chunk: bytes = message.get("body", b"")
            self._ended = not message.get("more_body", False)
            if chunk:
                self.received += len(chunk)
                if self._limit is not None and self.received > self._limit:
                    raise self._too_large()
                return chunk
        return b""

    async def _next(self) -> Any:
        if self._abandoned:
            raise BrokenOff("broken-off", "Another request took this upload over.")
        try:
            async with asyncio.timeout(self._timeout) as self._waiting:
                message = await self._receive()
        except TimeoutError:
            if self._abandoned:
                raise BrokenOff("broken-off", "Another request took this upload over.") from None
            raise TooSlow("too-slow", "The data stopped coming. Send the request again.") from None
        finally:
            self._waiting = None
        self.last = self._loop.time()
        elapsed = self.last - self._began
        if elapsed > _GRACE_S and self.received < elapsed * self._min_rate:
            raise TooSlow("too-slow", "The data comes too slowly. Send the request again on a better line.")
        return message

    def abandon(self) -> None:
        """Let the reader see a broken connection now."""
        self._abandoned = True
        if self._waiting is not None:
            self._waiting.reschedule(self._loop.time())

    async def whole(self) -> bytes:
        """All of it; only with a limit that fits into memory."""
        pieces = []
        while chunk := await self.read():
            pieces.append(chunk)
        return b"".join(pieces)

    def _too_large(self) -> TooLarge:
        return TooLarge("too-large", f"The request is larger than the limit of {self._limit:,} bytes.")


class Failures:
    """Refused requests by sender within the last minute."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[str, tuple[float, int]] = {}

    def check(self, who: str, now: float) -> None:
        """Raises SlowDown."""
        since, count = self._counts.get(who, (now, 0))
        if count >= self._most and now - since < _FAILURE_WINDOW_S:
            raise SlowDown("slow-down", "Too many requests were refused. Wait a minute, then correct them.")

    def add(self, who: str, now: float) -> None:
        since, count = self._counts.get(who, (now, 0))
        if now - since >= _FAILURE_WINDOW_S:
            since, count = now, 0
        if len(self._counts) > 1000:
            self._counts.clear()
        self._counts[who] = (since, count + 1)


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def body_route(failures: Failures) -> type[APIRoute]:
    """The route class of doors that take bodies, sharing one count of failures."""

    class BodyRoute(APIRoute):
        def get_route_handler(self) -> Handler:
            handle = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                loop = asyncio.get_running_loop()
                who = _who(request)
                watched = _Watched(request)
                try:
                    failures.check(who, loop.time())
                    return await handle(watched.request)
                except ClientDisconnect:
                    return Response(status_code=400)
                except NoSpace as error:
                    return _refusal(error, watched)
                except Refused as error:
                    if not isinstance(error, BrokenOff | Busy | SlowDown):
                        failures.add(who, loop.time())
                    return _refusal(error, watched)

            return guarded

    return BodyRoute


def _who(request: Request) -> str:
    """Whose failures count together: of one token, one session, or else of one address. Nobody without
    credentials of his own can slow down those who have some."""
    secret = request.headers.get("authorization") or request.cookies.get(COOKIE)
    if secret:
        return hashlib.sha256(secret.encode()).hexdigest()
    return request.client.host if request.client else ""


class _Watched:
    """A request of which is known whether its body was begun and read to the end."""

    def __init__(self, request: Request) -> None:
        self._inner = request.receive
        self.begun = False
        self.ended = "content-length" not in request.headers and "transfer-encoding" not in request.headers
        self.ended = self.ended or request.headers.get("content-length") == "0"
        self.gone = False
        self.expects = request.headers.get("expect", "").lower() == "100-continue"
        self.request = Request(request.scope, self.receive)

    async def receive(self) -> Any:
        self.begun = True
        message = await self._inner()
        if message["type"] == "http.disconnect":
            self.gone = True
        elif not message.get("more_body", False):
            self.ended = True
        return message

    async def drain(self) -> None:
        """Read what the sender is still sending, for a while."""
        left = _LINGER_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while left > 0 and not (self.ended or self.gone):
                    left -= len((await self.receive()).get("body", b""))


class _Lingering(Response):
    """An answer given before the body was read: it goes out first, then the rest of the body is
    read for a while. Closing at once would reset the connection and wipe the answer out before a
    sender that is still sending gets to see it."""

    def __init__(self, answer: Response, watched: _Watched) -> None:
        super().__init__()
        self.status_code, self.body, self.raw_headers = answer.status_code, answer.body, answer.raw_headers
        self.headers["connection"] = "close"
        self._watched = watched

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await self._watched.drain()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _refusal(error: Refused | NoSpace, watched: _Watched) -> Response:
    response = answer(error.status, error.code, error.text)
    if isinstance(error, Incomplete):
        response = answer(error.status, error.code, error.text, missing=error.missing)
    if error.status == 401:
        response.headers["www-authenticate"] = "Bearer"
    if isinstance(error, SlowDown):
        response.headers["retry-after"] = str(int(_FAILURE_WINDOW_S))
    if isinstance(error, Busy):
        response.headers["retry-after"] = str(_BUSY_S)
    if error.status in (409, 412, 423, ChecksumMismatch.status):
        response.headers["tus-resumable"] = "1.0.0"
    if watched.ended:
        return response
    if watched.expects and not watched.begun:
        response.headers["connection"] = "close"
        return response
    return _Lingering(response, watched)
