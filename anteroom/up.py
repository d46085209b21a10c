"""`anteroom up`: every service in one process, on the embedded adapters."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence

import orjson
import uvicorn

from anteroom import operations
from anteroom.composition import build_all
from anteroom.embedded import Embedded, open_embedded, write_private
from anteroom.settings import Settings
from kit.http_protocol import BoundedHttpProtocol
from kit.logging import configure
from kit.service import Kit, Service
from kit.web import build_app
from services.portal.bootstrap import ensure_admin, first_person, seed

Ready = Callable[[Settings, str, dict[str, str]], Awaitable[None]]
"""Is told the settings, the HTTP address, and where the other doors listen, by name."""


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status; raises DataFolderInUse."""
    configure(settings.process.log_level)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(settings, ready=_announce))
    return 0


async def serve(settings: Settings, *, ready: Ready | None = None, stop: asyncio.Event | None = None) -> None:
    """Open, build, start, serve, and close in the opposite order when `stop` is set or a signal comes."""
    stop = stop or asyncio.Event()
    _stop_on_signals(stop)
    process = settings.process
    embedded = open_embedded(process.data, settings.site, workers=process.workers, key_file=process.key_file)
    kit = embedded.kit
    try:
        await _open_accounts(kit, settings)
        services = [*build_all(kit, settings), operations.build(kit)]
        await _serve(embedded, services, settings, ready, stop)
    finally:
        await embedded.close()


async def _serve(
    embedded: Embedded,
    services: Sequence[Service],
    settings: Settings,
    ready: Ready | None,
    stop: asyncio.Event,
) -> None:
    kit = embedded.kit
    app = build_app(kit, services, lambda: operations.refresh_metrics(kit))
    listener = _listen(settings.http.host, settings.http.port)
    server = _Server(_uvicorn_config(app, settings))
    started: list[Service] = []
    try:
        for service in services:
            started.append(service)
            for start in service.start:
                await start()
        await kit.bus.start()
        serving = asyncio.create_task(server.serve([listener]))
        url = _url(settings, listener)
        write_private(settings.process.data / "server.json", orjson.dumps({"url": url}).decode())
        await _invite_first(kit, settings, url)
        if ready is not None:
            doors = {name: where() for service in services for name, where in service.doors.items()}
            await ready(settings, url, doors)
        await _first(serving, stop)
        server.should_exit = True
        await serving
    finally:
        for service in started:
            for end in service.stop:
                await end()


class _Server(uvicorn.Server):
    """Signals are handled by serve(), which has more to stop than HTTP."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


def _uvicorn_config(app: object, settings: Settings) -> uvicorn.Config:
    http = settings.http
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=BoundedHttpProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=http.behind_proxy,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        ssl_certfile=http.tls_certificate,
        ssl_keyfile=http.tls_key,
    )


async def _open_accounts(kit: Kit, settings: Settings) -> None:
    token_file = settings.process.data / "admin.token"
    known = token_file.read_text().strip() if token_file.exists() else None
    secret = await ensure_admin(kit, known)
    if secret is not None:
        write_private(token_file, secret)
    await seed(kit, settings.accounts, settings.destinations)


async def _invite_first(kit: Kit, settings: Settings, url: str) -> None:
    """Until somebody can sign in: the link that makes the first administrator, in a file of mode 0600."""
    path = await first_person(kit)
    file = settings.process.data / "welcome.link"
    if path is None:
        file.unlink(missing_ok=True)
    else:
        write_private(file, url + path)


async def _first(serving: "asyncio.Task[None]", stop: asyncio.Event) -> None:
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(512)
    listener.setblocking(False)
    return listener


def _url(settings: Settings, listener: socket.socket) -> str:
    scheme = "https" if settings.http.tls_certificate else "http"
    host = settings.http.host
    name = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - only compared
    return f"{scheme}://{name}:{listener.getsockname()[1]}"


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(number, stop.set)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    import uvloop

    return uvloop.new_event_loop


async def _announce(settings: Settings, url: str, doors: dict[str, str]) -> None:
    data = settings.process.data
    welcome = data / "welcome.link"
    lines = [
        f"Anteroom is ready at {url}",
        *(f"  {name:<6} {where}" for name, where in doors.items()),
        f"  data   {data}  (administrator's token: {data / 'admin.token'})",
        "Stop with Ctrl-C. Look around with: anteroom doctor, anteroom ls, anteroom send FOLDER",
    ]
    if welcome.exists():
        lines += [
            "",
            "Nobody can sign in yet. The first administrator opens, within two days:",
            f"  {welcome.read_text()}",
        ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
