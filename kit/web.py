"""The HTTP side of a process: the services' routers, one form of error answer, health, metrics."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from html import escape

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from kit.acts import Act, current, service_of
from kit.errors import NoSpace, Refused, TransientError, VersionConflict
from kit.guard import PROBES, Guard
from kit.identity import Principal, Role
from kit.saying import say
from kit.service import Caller, ErrorPage, Kit, Service
from schemas.shapes import Said

_log = logging.getLogger(__name__)

_PLAIN = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>That did not work</title>
<link rel="stylesheet" href="/static/-/anteroom.css"><main class="page narrow"><section class="card stack">
<h1>That did not work</h1><p>{}</p><p><a class="btn go" href="/">Back to the start</a></p>
</section></main></html>"""
"""For somebody who followed a link to a process that has no pages of its own. Its looks are those of the
pages, where they are served beside it."""
_CHECK_S = 10.0
_READY_FOR_S = 2.0


def build_app(
    kit: Kit,
    services: Sequence[Service],
    refresh_metrics: Callable[[], Awaitable[None]] | None = None,
    *,
    alone: str = "",
) -> FastAPI:
    """`alone` names the service where others of the installation answer elsewhere."""
    app = _App(title="Anteroom", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    app.state.identity = kit.identity
    app.state.site = kit.site
    app.state.kit = kit
    app.state.alone = alone
    app.state.error_page = next((s.error_page for s in services if s.error_page is not None), None)
    for service in services:
        for router in service.routers:
            app.include_router(router)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(TransientError, _busy)
    app.add_exception_handler(VersionConflict, _conflict)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _defect)
    _add_health(app, services, refresh_metrics)
    app.add_middleware(Guard, site=kit.site)
    return app


class _App(FastAPI):
    """Every request but those of probes is an act, from before anything that may log until it is answered."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await super().__call__(scope, receive, send)
            return
        act = Act("request", "web", scope["method"])
        act.look = lambda act: _look(act, scope)

        async def send_seen(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                act.details["status"] = status
                act.outcome = "failed" if status >= 500 else "refused" if status >= 400 else "ok"
                if Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream"):
                    # lasts as long as a page is open, which says nothing of how quickly we answer
                    act.outcome = "void"
            await send(message)

        with act:
            await super().__call__(scope, receive, send_seen)


def _look(act: Act, scope: Scope) -> None:
    """Routing tells whose request it is. Its template is all that is told: paths hold ids."""
    endpoint = scope.get("endpoint")
    if endpoint is not None:
        act.service = service_of(endpoint.__module__)
        act.name = f"{scope['method']} {_template(scope)}"


def answer(status: int, code: str, error: str, **more: object) -> JSONResponse:
    """The one form of error answer: a code for programs, a sentence for people, and where needed
    further fields for programs."""
    return JSONResponse({"code": code, "error": error, **more}, status_code=status)


async def _told(request: Request, status: int, code: str, error: str) -> Response:
    """The error as a page where somebody looks at a page, else as the one form of answer."""
    page: ErrorPage | None = request.app.state.error_page
    if page is not None and (shown := await page(request, status, code, error)) is not None:
        return shown
    if page is None and request.headers.get("sec-fetch-mode") == "navigate":
        return HTMLResponse(_PLAIN.format(escape(error)), status)
    return answer(status, code, error)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    response = await _told(request, error.status, error.code, error.text)
    if error.status == 401 and response.status_code == 401:
        response.headers["www-authenticate"] = "Bearer"
    return response


async def _busy(request: Request, error: Exception) -> Response:
    _log.warning("%s %s could not be served: %s", request.method, _route(request), error)
    if isinstance(error, NoSpace):
        return await _told(request, error.status, error.code, error.text)
    text = "This can't be done at the moment. Please try again in a minute."
    response = await _told(request, 503, "busy", text)
    response.headers["retry-after"] = "10"
    return response


async def _conflict(request: Request, __: Exception) -> Response:
    text = "Somebody else changed this at the same time. Look again and retry."
    return await _told(request, 409, "changed-meanwhile", text)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    places = sorted({".".join(str(part) for part in item["loc"][1:]) or "body" for item in error.errors()})
    text = f"These fields are missing or not in the expected form: {', '.join(places)}."
    return await _told(request, 422, "invalid", text)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    texts = {
        404: "There is nothing at this address.",
        405: "This address does not take that method.",
        413: "This is more than can be taken in here at once. Make it shorter, and try again.",
    }
    text = texts.get(error.status_code, str(error.detail))
    alone: str = request.app.state.alone
    if error.status_code == 404 and alone and request.url.path.startswith("/api/"):
        text += f" Only {alone} answers here; take the address of the front, which leads to every service."
    response = await _told(request, error.status_code, "http", text)
    response.headers.update(error.headers or {})
    return response


async def _defect(request: Request, error: Exception) -> Response:
    """The answer's header leads to the line of the log."""
    _log.error("%s %s met a defect", request.method, _route(request), exc_info=error)
    text = "Something went wrong here. It has been logged; please try again."
    response = await _told(request, 500, "internal", text)
    if (act := current()) is not None:
        response.headers["x-correlation-id"] = act.correlation_id
    return response


def _route(request: Request) -> str:
    """The route's template: paths hold ids, never more, but a log needs none."""
    return _template(request.scope)


def _template(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "unknown route")


class _Readiness:
    """Anybody may ask, so asking costs little: everybody who asks within two seconds gets one answer,
    and neighbours are asked side by side, each with its time."""

    def __init__(self, checks: Mapping[str, Callable[[], Awaitable[Said | None]]]) -> None:
        self._checks = checks
        self._lock = asyncio.Lock()
        self._found: dict[str, Said | None] = {}
        self._until = 0.0

    async def look(self) -> dict[str, Said | None]:
        loop = asyncio.get_running_loop()
        async with self._lock:
            if loop.time() >= self._until:
                answers = await asyncio.gather(*(self._ask(check) for check in self._checks.values()))
                self._found = dict(zip(self._checks, answers, strict=True))
                self._until = loop.time() + _READY_FOR_S
            return self._found

    async def _ask(self, check: Callable[[], Awaitable[Said | None]]) -> Said | None:
        try:
            async with asyncio.timeout(_CHECK_S):
                return await check()
        except TimeoutError:
            form = "No answer within %(seconds)s seconds. Look whether it hangs."
            return say("hangs", form, seconds=f"{_CHECK_S:g}")
        except TransientError as error:
            return error.said


def _add_health(
    app: FastAPI, services: Sequence[Service], refresh_metrics: Callable[[], Awaitable[None]] | None
) -> None:
    readiness = _Readiness({name: check for service in services for name, check in service.checks.items()})

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return PlainTextResponse("ok")

    @app.get("/readyz", include_in_schema=False)
    async def readyz(codes: bool = False) -> Response:
        """Every door and neighbour by name: null is well, a sentence says what is wrong; with `codes` as
        something said, for readers of any language."""
        found = await readiness.look()
        shut = any(said is not None for name, said in found.items() if name.endswith("door"))
        content = {
            name: said and (said.model_dump(mode="json") if codes else said.text)
            for name, said in found.items()
        }
        return JSONResponse(content, status_code=503 if shut else 200)

    @app.get("/metrics", include_in_schema=False)
    async def metrics(caller: Principal = Caller) -> Response:
        """For an administrator's token: how much comes in, and from what, is nobody else's business."""
        caller.require(Role.ADMIN)
        return await _metrics(refresh_metrics)


def metrics_app(refresh: Callable[[], Awaitable[None]] | None = None) -> Starlette:
    """/metrics alone and without a token, for a port that only scrapers reach."""

    async def metrics(_: Request) -> Response:
        return await _metrics(refresh)

    return Starlette(routes=[Route("/metrics", metrics)])


async def _metrics(refresh: Callable[[], Awaitable[None]] | None) -> Response:
    if refresh is not None:
        await refresh()
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
