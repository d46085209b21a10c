"""The front's table of who answers what, and every route of the code."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fastapi.routing import iter_route_contexts

from anteroom import operations
from anteroom.composition import BUILDERS
from anteroom.embedded import open_embedded
from anteroom.settings import Settings
from kit.service import Site
from kit.web import build_app
from tests.unit.k8s.rendering import K8S

CONF = K8S / "base" / "front" / "nginx.conf"
OF_EVERY_PROCESS = {"/healthz", "/readyz", "/metrics", "/api/openapi.json"}
# Twilio's reports have a route only where SMS is set up
_SMS = {"account_sid": "AC1", "auth_token": "t", "sender": "MG1", "status_url": "https://images.example"}


def table() -> list[tuple[re.Pattern[str], str]]:
    """The map of nginx.conf in its order: the first pattern that fits decides."""
    block = re.search(
        r"map \"\$request_method \$uri\" \$service \{(.*?)\n    \}", CONF.read_text(), re.DOTALL
    )
    assert block is not None
    return [(re.compile(p), name) for p, name in re.findall(r'"~(\S+ \S+)" (\w+);', block[1])]


def answers(method: str, path: str) -> str:
    return next((name for pattern, name in table() if pattern.search(f"{method} {path}")), "portal")


async def routes() -> list[tuple[str, str, str]]:
    """(service that must answer, method, an address) of every route there is."""
    with tempfile.TemporaryDirectory() as folder:
        embedded = open_embedded(Path(folder) / "data", Site(url="https://images.example"))
        try:
            kit, settings = embedded.kit, Settings.model_validate({"notify": {"sms": _SMS}})
            built = {name: build(kit, settings) for name, build in BUILDERS.items()}
            built["portal"].routers.append(operations.build(kit).routers[0])
            return [
                (_owner(name, method, context.path), method, address)
                for name, service in built.items()
                for context in iter_route_contexts(build_app(kit, [service]).routes)
                for method in sorted(context.methods or ())
                for address in _addresses(context.path)
                if context.path not in OF_EVERY_PROCESS
            ]
        finally:
            await embedded.close()


async def paths_of_every_process() -> set[str]:
    """What any process answers, whichever service it runs: the paths for probes and Prometheus."""
    with tempfile.TemporaryDirectory() as folder:
        embedded = open_embedded(Path(folder) / "data", Site())
        try:
            apps = [build_app(embedded.kit, [build(embedded.kit, Settings())]) for build in BUILDERS.values()]
            return set.intersection(*({c.path for c in iter_route_contexts(app.routes)} for app in apps))
        finally:
            await embedded.close()


def _owner(service: str, method: str, path: str) -> str:
    return "dicom" if service == "upload" and path.startswith("/dicomweb") else service


def _addresses(path: str) -> Iterator[str]:
    yield re.sub(r"\{\w+\}", "1.2-a", re.sub(r"\{\w+:path\}", "some/deeper/file.js", path))
