"""A person at a browser, without a browser: cookies, forms with their token, and what a page says."""

import html
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

import httpx
import pyotp
from fastapi import FastAPI

PASSWORD = "violet harbour lantern"


class Hand:
    """A clock that goes on when told."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def go(self, **span: float) -> None:
        self.now += timedelta(**span)


class Browser:
    def __init__(self, app: FastAPI, address: str = "10.0.0.7", **headers: str) -> None:
        transport = httpx.ASGITransport(app=app, client=(address, 1234), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://here", headers=headers)
        self.http.headers["accept"] = "text/html"
        self.page: httpx.Response | None = None

    async def __aenter__(self) -> "Browser":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    @property
    def text(self) -> str:
        assert self.page is not None
        return html.unescape(self.page.text)

    @property
    def status(self) -> int:
        assert self.page is not None
        return self.page.status_code

    @property
    def path(self) -> str:
        assert self.page is not None
        return self.page.url.path

    def value(self, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]*)"', self.page.text if self.page else "")
        assert found, name
        return html.unescape(found[1])

    async def get(self, path: str, **headers: str) -> httpx.Response:
        self.page = await self.http.get(path, follow_redirects=True, headers=headers)
        return self.page

    async def post(self, path: str, *, follow: bool = True, **fields: Any) -> httpx.Response:
        """As the form on the present page would: with its token, from our own origin."""
        data = {"csrf": self.value("csrf"), **fields}
        headers = {"origin": "http://here", "sec-fetch-site": "same-origin"}
        answer = await self.http.post(path, data=data, headers=headers, follow_redirects=follow)
        if follow:
            self.page = answer
        return answer

    async def sign_in(self, email: str, password: str = PASSWORD, onward: str = "/account") -> None:
        await self.get("/login")
        await self.post("/login", email=email, password=password, next=onward)


def code_of(letters: str, clock: Callable[[], datetime]) -> str:
    return pyotp.TOTP(letters.replace(" ", "")).at(clock())
