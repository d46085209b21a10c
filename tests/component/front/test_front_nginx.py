"""nginx itself with the front's file, before stand-ins for the services: who answers, what they are told."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request

from anteroom.serving import Server, listen, uvicorn_config
from anteroom.settings import HttpSettings, Settings
from tests.neighbours.nginx import Front, fronting
from tests.unit.k8s.fronting import routes
from tests.unit.k8s.rendering import WORKLOADS

PROXIES = ["127.0.0.0/8"]


class StandIn(BaseHTTPRequestHandler):
    """Says which service it stands for, and what reached it."""

    protocol_version = "HTTP/1.1"
    name = ""

    def answer(self) -> None:
        length = int(self.headers.get("content-length", 0))
        got = len(self.rfile.read(length))
        self.send_response(200)
        for key, value in {
            "x-service": self.name,
            "x-path": self.path,
            "x-host": self.headers.get("host", ""),
            "x-from": ", ".join(self.headers.get_all("x-forwarded-for", [])),
            "x-scheme": self.headers.get("x-forwarded-proto", ""),
            "x-got": str(got),
            "content-length": "0",
        }.items():
            self.send_header(key, value)
        self.end_headers()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def stand_in(name: str) -> Iterator[int]:
    made = type("Named", (StandIn,), {"name": name})
    with ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with ExitStack() as stack:
        ports = {name: stack.enter_context(stand_in(name)) for name in WORKLOADS}
        yield stack.enter_context(fronting(ports, tmp_path_factory.mktemp("front")))


async def test_every_route_reaches_its_service_unchanged(front: Front) -> None:
    found = await routes()
    wrong = []
    async with httpx.AsyncClient(base_url=front.url, headers={"host": "images.example"}) as client:
        for service, method, address in found:
            answer = await client.request(method, f"{address}?q=a%20b")
            told = {key: answer.headers.get(f"x-{key}") for key in ("service", "path", "host")}
            if told != {"service": service, "path": f"{address}?q=a%20b", "host": "images.example"}:
                wrong.append(f"{method} {address}: {answer.status_code} {told}")
    assert len(found) > 150
    assert wrong == []


def test_what_is_encoded_stays_so(front: Front) -> None:
    answer = httpx.get(f"{front.url}/share/a%2Fb%3Fc")
    assert (answer.headers["x-service"], answer.headers["x-path"]) == ("portal", "/share/a%2Fb%3Fc")


def test_no_detour_of_a_path_reaches_another_service(front: Front) -> None:
    """Decided on what the path comes to; the service then decides on it by itself."""
    with socket.create_connection(("127.0.0.1", int(front.url.rpartition(":")[2]))) as raw:
        raw.sendall(b"GET /viewer/../api/notices HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert b"x-service: notify" in answer


@pytest.mark.parametrize(
    ("sent", "told"),
    [({}, "127.0.0.1"), ({"x-forwarded-for": "198.51.100.7"}, "198.51.100.7"),
     ({"x-forwarded-for": "1.2.3.4, 10.1.1.1, 198.51.100.7"}, "198.51.100.7")],
)  # fmt: skip
def test_the_address_is_what_the_last_proxy_saw(front: Front, sent: dict[str, str], told: str) -> None:
    """What a client writes there itself counts for nothing."""
    assert httpx.get(front.url, headers=sent).headers["x-from"] == told


def test_the_scheme_is_told_on(front: Front) -> None:
    assert httpx.get(front.url, headers={"x-forwarded-proto": "https"}).headers["x-scheme"] == "https"
    assert httpx.get(front.url, headers={"x-forwarded-proto": "javascript"}).headers["x-scheme"] == "http"


@pytest.mark.parametrize(
    ("method", "path", "size", "status"),
    [
        ("POST", "/login", 1 << 20, 200),
        ("POST", "/login", 3 << 20, 413),
        ("POST", "/api/submissions", 20 << 20, 200),
        ("POST", "/api/submissions/x/close", 3 << 20, 413),
        ("PATCH", "/api/uploads/x", 40 << 20, 200),
        ("POST", "/api/send", 40 << 20, 200),
        ("POST", "/dicomweb/studies", 40 << 20, 200),
        ("POST", "/dicomweb/studies/1.2", 40 << 20, 200),
    ],
)
def test_bodies_have_the_limits_of_their_route(front: Front, method: str, path: str, size: int, status: int):
    answer = httpx.request(method, front.url + path, content=bytes(size), timeout=60)
    assert answer.status_code == status
    assert status != 200 or answer.headers["x-got"] == str(size)


def test_metrics_stay_inside_and_health_is_its_own(front: Front) -> None:
    assert httpx.get(f"{front.url}/metrics").status_code == 404
    assert httpx.get(f"{front.url}/healthz").text == "ok\n"


async def test_our_own_server_takes_the_address_from_it(tmp_path: Path) -> None:
    """From the edge to what doors and sign-in count tries by."""
    app = FastAPI()

    @app.get("/{path:path}")
    async def who(request: Request) -> dict[str, str]:
        assert request.client is not None
        return {"client": request.client.host, "scheme": request.url.scheme}

    http = HttpSettings(behind_proxy=True, proxies=PROXIES)
    settings = Settings.model_validate({"http": http.model_dump()})
    listener = listen("127.0.0.1", 0, "http.port")
    server = Server(uvicorn_config(app, settings))
    serving = asyncio.create_task(server.serve([listener]))
    port = listener.getsockname()[1]
    try:
        with fronting(dict.fromkeys(WORKLOADS, port), tmp_path) as front:
            headers = {"x-forwarded-for": "1.2.3.4, 10.20.30.40", "x-forwarded-proto": "https"}
            async with httpx.AsyncClient() as client:
                answer = await client.get(f"{front.url}/login", headers=headers)
        assert answer.json() == {"client": "10.20.30.40", "scheme": "https"}
    finally:
        server.should_exit = True
        await serving


def test_a_service_that_is_away_is_said_without_the_address_in_a_log(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()[1]
        with fronting(dict.fromkeys(WORKLOADS, nobody), tmp_path) as front:
            assert httpx.get(f"{front.url}/share/a-secret").status_code == 502
        assert "a-secret" not in front.error_log.read_text()
