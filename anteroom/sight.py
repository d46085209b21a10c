"""What a process lets be seen of itself while it serves: measurements, and where the settings ask for it,
traces to a collector and /metrics on a port of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvicorn

from anteroom.serving import Server, listen
from anteroom.settings import Settings, TelemetrySettings
from kit import acts
from kit.http_protocol import BoundedHttpProtocol
from kit.logging import ActLines
from kit.metrics import Measuring
from kit.tracing import Tracing
from kit.web import metrics_app

Refresh = Callable[[], Awaitable[None]]


@asynccontextmanager
async def in_sight(settings: Settings, instance: str, refresh: Refresh) -> AsyncIterator[str]:
    """Gives the address of /metrics, empty where it has no port of its own. Raises CanNotListen when that
    port is taken, PermanentError when traces are asked for and can't be sent from here."""
    telemetry = settings.telemetry
    tracing = _tracing(telemetry, instance)
    address, server, serving = "", None, None
    if telemetry.metrics_port >= 0:
        listener = listen(telemetry.metrics_host, telemetry.metrics_port, "telemetry.metrics_port")
        address = f"http://{telemetry.metrics_host}:{listener.getsockname()[1]}/metrics"
        server = Server(_config(refresh))
        serving = asyncio.create_task(server.serve([listener]))
    watchers: list[acts.Watcher] = [Measuring(), ActLines()]
    for watcher in watchers:
        acts.watch(watcher)
    if tracing is not None:
        tracing.start()
    try:
        yield address
    finally:
        for watcher in watchers:
            acts.unwatch(watcher)
        if server is not None and serving is not None:
            server.should_exit = True
            await serving
        if tracing is not None:
            await asyncio.to_thread(tracing.stop)


def _tracing(telemetry: TelemetrySettings, instance: str) -> Tracing | None:
    if not telemetry.endpoint:
        return None
    return Tracing(
        telemetry.endpoint,
        headers=telemetry.headers,
        ratio=telemetry.ratio,
        instance=instance,
    )


def _config(refresh: Refresh) -> uvicorn.Config:
    return uvicorn.Config(
        metrics_app(refresh),
        http=BoundedHttpProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )
