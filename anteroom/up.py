"""`anteroom up`: every service in one process, on the embedded adapters."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from fastapi import FastAPI

from anteroom import contracts, operations
from anteroom.composition import build_all
from anteroom.embedded import Embedded, open_embedded
from anteroom.first_start import invite_first, open_accounts
from anteroom.serving import (
    Server,
    first_of,
    listen,
    loop_factory,
    stop_on_signals,
    tell_where,
    url_of,
    uvicorn_config,
)
from anteroom.settings import Settings
from anteroom.sight import in_sight
from kit.heap import settle
from kit.logging import configure
from kit.service import Service, stop_all
from kit.web import build_app

Ready = Callable[[Settings, str, dict[str, str]], Awaitable[None]]
"""Is told the settings, the HTTP address, and where the other doors listen, by name."""


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status; raises DataFolderInUse."""
    configure(settings.process.log_level)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(settings, ready=_announce))
    return 0


async def serve(settings: Settings, *, ready: Ready | None = None, stop: asyncio.Event | None = None) -> None:
    """Open, build, start, serve, and close in the opposite order when `stop` is set or a signal comes."""
    stop = stop or asyncio.Event()
    stop_on_signals(stop)
    process = settings.process
    embedded = open_embedded(process.data, settings.site, workers=process.workers, key_file=process.key_file)
    kit = embedded.kit
    try:
        await open_accounts(kit, settings)
        services = [*build_all(kit, settings), operations.build(kit), contracts.build()]
        refresh = operations.shared(partial(operations.refresh_metrics, kit, services))
        async with in_sight(settings, kit.owner, refresh) as metrics:
            app = build_app(kit, services, refresh)
            await _serve(embedded, services, settings, app, metrics, ready, stop)
    finally:
        await embedded.close()


async def _serve(
    embedded: Embedded,
    services: Sequence[Service],
    settings: Settings,
    app: FastAPI,
    metrics: str,
    ready: Ready | None,
    stop: asyncio.Event,
) -> None:
    kit = embedded.kit
    listener = listen(settings.http.host, settings.http.port, "--http-port or http.port")
    server = Server(uvicorn_config(app, settings))
    started: list[Service] = []
    try:
        for service in services:
            started.append(service)
            for start in service.start:
                await start()
        await kit.bus.start()
        serving = asyncio.create_task(server.serve([listener]))
        url = url_of(settings, listener)
        tell_where(settings, url, metrics)
        await invite_first(kit, settings, url)
        if ready is not None:
            doors = {name: where() for service in services for name, where in service.doors.items()}
            await ready(settings, url, doors)
        await first_of(serving, stop)
        server.should_exit = True
        await serving
    finally:
        await stop_all(started)


async def _announce(settings: Settings, url: str, doors: dict[str, str]) -> None:
    settle()
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
