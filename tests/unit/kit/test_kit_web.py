"""What anybody may ask of the HTTP side."""

import asyncio
import logging

import httpx
import pytest
from fastapi import APIRouter, Response

from kit import acts, web
from kit.errors import Unavailable
from kit.saying import say
from kit.service import Kit, Service
from schemas.shapes import Said


async def _ready(kit: Kit, service: Service, times: int) -> list[httpx.Response]:
    transport = httpx.ASGITransport(web.build_app(kit, [service]))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await asyncio.gather(*(client.get("/readyz") for _ in range(times)))


async def test_many_who_ask_whether_it_is_ready_share_one_answer(kit_env: Kit) -> None:
    asked = 0

    async def check() -> Said | None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.05)
        return say("away", "away")

    answers = await _ready(kit_env, Service("x", checks={"scanner": check}), 50)
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].json() == {"scanner": "away"}
    assert asked == 1


async def test_a_neighbour_that_hangs_holds_nobody_up(kit_env: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_CHECK_S", 0.05)

    async def well() -> Said | None:
        return None

    async def hangs() -> Said | None:
        await asyncio.sleep(3600)
        return None

    service = Service("x", checks={"scanner": hangs, "dicom-door": well, "hl7-door": hangs})
    answer = (await _ready(kit_env, service, 1))[0]
    assert answer.status_code == 503
    assert answer.json()["dicom-door"] is None
    assert "No answer" in answer.json()["scanner"]


async def test_a_check_that_lacks_an_engine_says_so_and_the_others_are_told(kit_env: Kit) -> None:
    async def away() -> Said | None:
        raise Unavailable("document store", "it is away")

    async def well() -> Said | None:
        return None

    (answer,) = await _ready(kit_env, Service("x", checks={"email": away, "dicom-door": well}), 1)
    assert answer.status_code == 200
    assert answer.json() == {"email": "document store: it is away", "dicom-door": None}


async def test_what_is_wrong_is_told_for_readers_of_any_language(kit_env: Kit) -> None:
    async def full() -> Said | None:
        return say("nearly-full", "Only %(free)s left.", free="2 GB")

    async def well() -> Said | None:
        return None

    service = Service("x", checks={"disk": full, "email": well})
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(web.build_app(kit_env, [service])), base_url="http://localhost"
    ) as client:
        found = (await client.get("/readyz?codes=true")).json()
    assert found["email"] is None
    assert found["disk"] == {
        "code": "nearly-full", "text": "Only 2 GB left.", "values": {"free": "2 GB"}, "because": [],
    }  # fmt: skip


async def test_an_answer_to_a_defect_leads_to_its_line_of_the_log(
    kit_env: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    router = APIRouter()
    seen: list[acts.Act | None] = []

    @router.get("/studies/{study_id}")
    async def broken(study_id: str) -> None:
        raise ValueError(study_id)

    class Noting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(acts.current())

    noting = Noting(logging.ERROR)
    logging.getLogger("kit.web").addHandler(noting)
    transport = httpx.ASGITransport(
        web.build_app(kit_env, [Service("x", routers=[router])]), raise_app_exceptions=False
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/studies/DOE^JOHN")
    logging.getLogger("kit.web").removeHandler(noting)
    assert answer.status_code == 500
    (act,) = seen
    assert act is not None
    assert answer.headers["x-correlation-id"] == act.correlation_id
    assert act.name == "GET /studies/{study_id}"
    assert act.outcome == "failed"
    assert "DOE" not in "".join(record.getMessage() for record in caplog.records)


class Ended:
    def __init__(self) -> None:
        self.names: list[str] = []

    def ended(self, act: acts.Act) -> None:
        self.names.append(act.name)

    def emitted(self, act: acts.Act, event: object) -> None: ...


async def test_how_long_a_page_stays_open_is_not_how_long_an_answer_took(kit_env: Kit) -> None:
    router = APIRouter()

    @router.get("/live")
    async def live() -> Response:
        return Response("data: x\n\n", media_type="text/event-stream")

    @router.get("/once")
    async def once() -> Response:
        return Response("x")

    ended = Ended()
    acts.watch(ended)
    transport = httpx.ASGITransport(web.build_app(kit_env, [Service("x", routers=[router])]))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for path in ("/live", "/once"):
            assert (await client.get(path)).status_code == 200
    acts.unwatch(ended)
    assert ended.names == ["GET /once"]


@pytest.mark.parametrize(
    ("alone", "path", "told"),
    [("forward", "/api/studies", True), ("", "/api/studies", False), ("forward", "/nowhere", False)],
)
async def test_who_asks_a_process_for_another_service_is_told_where_to_turn(
    kit_env: Kit, alone: str, path: str, told: bool
) -> None:
    transport = httpx.ASGITransport(web.build_app(kit_env, [Service("forward")], alone=alone))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    assert ("Only forward answers here; take the address of the front" in answer.json()["error"]) is told
