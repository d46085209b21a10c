"""`anteroom run NAME`: one service, or all, in this process, on the cluster adapters.

HTTP answers from the first moment, so that probes see why it is not ready; everything else waits until
the engines are reached, in whatever order they come. SIGTERM drains: not ready, no new requests, doors
shut, handlers and tasks finish, offsets are committed.
"""

import asyncio
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from fastapi import FastAPI

from anteroom import contracts, operations
from anteroom.cluster import Cluster, collections, open_cluster, until_reached
from anteroom.composition import BUILDERS
from anteroom.embedded import take
from anteroom.first_start import invite_first, open_accounts
from anteroom.readiness import Doors
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
from kit.saying import as_said, say
from kit.service import Service, stop_all
from kit.web import build_app

ALL = "all"
_log = logging.getLogger(__name__)


def run(settings: Settings, name: str) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status; raises DataFolderInUse: each process needs one
    of its own, for spools and where it listens."""
    configure(settings.process.log_level)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(settings, list(BUILDERS) if name == ALL else [name]))
    return 0


async def serve(settings: Settings, names: Sequence[str], *, stop: asyncio.Event | None = None) -> None:
    stop = stop or asyncio.Event()
    stop_on_signals(stop)
    with take(settings.process.data):
        await _run(settings, names, stop)


async def _run(settings: Settings, names: Sequence[str], stop: asyncio.Event) -> None:
    cluster = open_cluster(settings, settings.process.data / "spool")
    services = [BUILDERS[name](cluster.kit, settings) for name in names]
    doors = Doors(cluster, services)
    engines = doors.service()
    all_services = [
        *services,
        operations.build(cluster.kit),
        contracts.build(settings.kafka),
        engines,
    ]
    refresh = operations.shared(partial(operations.refresh_metrics, cluster.kit, [*services, engines]))
    alone = names[0] if len(names) == 1 else ""
    app = build_app(cluster.kit, all_services, refresh, alone=alone)
    async with in_sight(settings, cluster.kit.owner, refresh) as metrics:
        await _serve(cluster, doors, names, services, app, metrics, stop)


async def _serve(
    cluster: Cluster,
    doors: Doors,
    names: Sequence[str],
    services: Sequence[Service],
    app: FastAPI,
    metrics: str,
    stop: asyncio.Event,
) -> None:
    settings = cluster.settings
    listener = listen(settings.http.host, settings.http.port, "--http-port or http.port")
    server = Server(uvicorn_config(app, settings))
    serving = asyncio.create_task(server.serve([listener]))
    url = url_of(settings, listener)
    tell_where(settings, url, metrics)
    sys.stdout.write(f"{', '.join(names)} at {url}\n")
    sys.stdout.flush()
    starting = asyncio.create_task(_start(cluster, doors, names, services, url, stop))
    try:
        await first_of(asyncio.ensure_future(_either(serving, starting)), stop)
        doors.starting = say("stopping", "It is stopping.")
        server.should_exit = True
        await serving
    finally:
        await _end(cluster, services, starting)


async def _start(
    cluster: Cluster,
    doors: Doors,
    names: Sequence[str],
    services: Sequence[Service],
    url: str,
    stop: asyncio.Event,
) -> None:
    """Returns when told to stop; raises what makes going on senseless."""

    def state(text: str) -> None:
        doors.starting = as_said(text)

    if not await until_reached("the engines", cluster.connect, stop, state):
        return
    if "portal" in names:
        await open_accounts(cluster.kit, cluster.settings)
        behind = cluster.settings.http.behind_proxy
        address = cluster.settings.site.url if behind else url
        if welcome := await invite_first(cluster.kit, cluster.settings, address):
            sys.stdout.write(f"Nobody can sign in yet: the first administrator opens the link in {welcome}\n")
            sys.stdout.flush()
    for service in services:
        for start in service.start:
            await start()
    if not await until_reached("the bus", cluster.bus.start, stop, state):
        return
    settle()
    doors.starting = None
    _log.info("%s ready", ", ".join(names))
    await cluster.documents.keep_relaying(collections(names))


async def _either(serving: "asyncio.Task[None]", starting: "asyncio.Task[None]") -> None:
    await asyncio.wait((serving, starting), return_when=asyncio.FIRST_COMPLETED)


async def _end(cluster: Cluster, services: Sequence[Service], starting: "asyncio.Task[None]") -> None:
    """Doors and tasks first, then the bus, whose handlers use everything else."""
    failed = starting.exception() if starting.done() and not starting.cancelled() else None
    starting.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await starting
    await stop_all(services)
    await cluster.close()
    if failed is not None:
        raise failed
