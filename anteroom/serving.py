"""The HTTP server of a process, for every way of running: its socket, its limits, its signals."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable

import orjson
import uvicorn

from anteroom.embedded import write_private
from anteroom.settings import Settings
from kit.errors import AnteroomError
from kit.http_protocol import BoundedHttpProtocol
from kit.logging import tell_of_loop_trouble


class CanNotListen(AnteroomError):
    """The port is taken, or the address is none of this machine."""


class Server(uvicorn.Server):
    """Signals are handled by serve(), which has more to stop than HTTP."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


def uvicorn_config(app: object, settings: Settings) -> uvicorn.Config:
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
        forwarded_allow_ips=http.proxies,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        ssl_certfile=http.tls_certificate,
        ssl_keyfile=http.tls_key,
    )


async def first_of(serving: "asyncio.Task[None]", stop: asyncio.Event) -> None:
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()


def listen(host: str, port: int, setting: str) -> socket.socket:
    """Raises CanNotListen, which names the setting."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise CanNotListen(
            f"The port {port} on {host} can't be opened: {error.strerror or error}. "
            f"Free it, or choose another: {setting}."
        ) from error
    listener.setblocking(False)
    return listener


def url_of(settings: Settings, listener: socket.socket) -> str:
    scheme = "https" if settings.http.tls_certificate else "http"
    host = settings.http.host
    name = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - only compared
    return f"{scheme}://{name}:{listener.getsockname()[1]}"


def tell_where(settings: Settings, url: str, metrics: str) -> None:
    """For command line clients on this machine: where this process answers, and its /metrics, or empty."""
    where = orjson.dumps({"url": url, "metrics": metrics}).decode()
    write_private(settings.process.data / "server.json", where)


def stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(number, stop.set)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    import uvloop

    def new_loop() -> asyncio.AbstractEventLoop:
        loop = uvloop.new_event_loop()
        loop.set_exception_handler(tell_of_loop_trouble)
        return loop

    return new_loop
