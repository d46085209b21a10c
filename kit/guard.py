"""What every answer of the HTTP side carries for safety, and which host names it answers to."""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.service import Site

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""For pages. A part that needs another (the viewer) sends its own, which is left as it is."""

_ALWAYS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
PROBES = frozenset({"/healthz", "/readyz"})
_YEAR_S = 31_536_000


class Guard:
    """ASGI middleware. A Host header that is not ours is refused: links and redirects are made of it
    nowhere, but caches and browsers are fooled by it. Probes may come by the pod's address."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        own = urlsplit(site.url).hostname
        self._hosts = {name.casefold() for name in (*site.hosts, own or "", "localhost") if name}
        self._headers = dict(_ALWAYS)
        if site.url.startswith("https://"):
            self._headers["strict-transport-security"] = f"max-age={_YEAR_S}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(MutableHeaders(scope=message))
            await send(message)

        if scope["path"] in PROBES or self._is_ours(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send_guarded)
            return
        text = "This server does not go by that name. Use its own address, or add the name to site.hosts."
        answer = JSONResponse({"code": "bad-host", "error": text}, status_code=421)
        await answer(scope, receive, send_guarded)

    def _add(self, headers: MutableHeaders) -> None:
        own_policy = "content-security-policy" in headers
        for name, value in self._headers.items():
            if own_policy and name == "x-frame-options":
                continue
            headers.setdefault(name, value)
        headers.setdefault("cache-control", "private, no-cache" if "etag" in headers else "no-store")

    def _is_ours(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if name in self._hosts:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False
