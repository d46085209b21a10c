"""The server process is killed at any moment; what was acknowledged is there, nothing comes twice."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from anteroom.embedded import open_embedded
from kit.service import Kit, Site
from tests.component.upload.conftest import SECRET, serving, settings_of, stored_files, tar_of
from tests.component.upload.test_upload_stow import instance, related
from tests.component.upload.test_upload_tus import CONTENT, TUS, metadata

ROUNDS = 3


@asynccontextmanager
async def process(
    data: Path, part_bytes: int = 100_000
) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.component.upload.server_program",
        str(data),
        str(part_bytes),
        cwd=Path(__file__).parents[3],
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        url = (await asyncio.wait_for(server.stdout.readline(), 30)).decode().strip()
        headers = {"authorization": f"Bearer {SECRET}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client:
            yield server, client
    finally:
        if server.returncode is None:
            server.send_signal(signal.SIGKILL)
        await server.wait()


@asynccontextmanager
async def afterwards(data: Path) -> AsyncIterator[Kit]:
    """The service in this process on what the killed ones left, until everything has settled."""
    embedded = open_embedded(data, Site())
    async with serving(embedded.kit, settings_of(quiet_s=1)) as running:
        async with asyncio.timeout(30):
            while {e.submission_id for e in await running.events("submission-opened")} != {
                e.submission_id for e in await running.events("submission-closed")
            }:
                await asyncio.sleep(0.1)
        yield running
    await embedded.close()


def kill_later(server: asyncio.subprocess.Process, seconds: float) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, server.send_signal, signal.SIGKILL)


async def test_an_upload_goes_on_after_every_kill(tmp_path: Path):
    batch = tar_of({"0/big": os.urandom(6_000_000)})
    random.seed(7)
    location = submission_id = None
    offset = kills = 0
    while offset < len(batch):
        async with process(tmp_path) as (server, client):
            if location is None:
                opening = {"client_id": "one", "declared_files": 1}
                submission_id = (await client.post("/api/submissions", json=opening)).json()["id"]
                length = {"upload-length": str(len(batch)), "upload-metadata": metadata(submission_id, "0")}
                location = (await client.post("/api/uploads", headers={**TUS, **length})).headers["location"]
            seen = int((await client.head(location, headers=TUS)).headers["upload-offset"])
            assert seen >= offset
            offset = seen

            async def slowly(start: int = seen) -> AsyncIterator[bytes]:
                for at in range(start, len(batch), 50_000):
                    yield batch[at : at + 50_000]
                    await asyncio.sleep(0.002)

            if kills < ROUNDS:
                kill_later(server, random.uniform(0.02, 0.12))
            kills += 1
            try:
                headers = {**TUS, **CONTENT, "upload-offset": str(seen)}
                answer = await client.patch(location, headers=headers, content=slowly())
            except httpx.TransportError:
                continue
            assert answer.status_code == 204, answer.text
            offset = int(answer.headers["upload-offset"])
            assert (await client.post(f"/api/submissions/{submission_id}/close")).status_code == 200
    assert kills > 1
    async with afterwards(tmp_path) as running:
        (event,) = await running.events("batch-received")
        assert b"".join(b"".join(running.kit.objects.stream(part.key)) for part in event.parts) == batch
        known = {part.key for part in event.parts}
        assert {stat.key for stat in running.kit.objects.list("incoming/")} == known


async def test_every_instance_stow_acknowledged_is_there_once(tmp_path: Path):
    random.seed(11)
    acknowledged: list[bytes] = []
    unanswered: list[bytes] = []
    for round_number in range(ROUNDS):
        async with process(tmp_path) as (server, client):
            # by turns at any moment, and after an answer, however slow the machine
            first = asyncio.Event()
            if round_number % 2:
                kill_later(server, random.uniform(0.1, 0.8))

            async def send(client: httpx.AsyncClient = client) -> None:
                while True:
                    content = instance(pixels=random.randrange(100, 100_000))
                    headers, body = related(content)
                    unanswered.append(content)
                    answer = await client.post("/dicomweb/studies", headers=headers, content=body)
                    assert answer.status_code == 200
                    unanswered.remove(content)
                    acknowledged.append(content)
                    first.set()  # noqa: B023 - of this round

            async def kill_after_an_answer(server: asyncio.subprocess.Process = server) -> None:
                await first.wait()  # noqa: B023 - of this round
                kill_later(server, random.uniform(0, 0.5))

            killing = [] if round_number % 2 else [kill_after_an_answer()]
            results = await asyncio.gather(send(), send(), *killing, return_exceptions=True)
            assert all(isinstance(result, httpx.TransportError) for result in results[:2]), results
    assert len(acknowledged) >= ROUNDS // 2
    async with afterwards(tmp_path) as running:
        found: list[bytes] = []
        for event in await running.events("batch-received"):
            found += stored_files(running.kit, event).values()
        assert len(found) == len(set(found))
        assert set(acknowledged) <= set(found) <= {*acknowledged, *unanswered}
        assert list((running.kit.scratch / "upload").iterdir()) == []
        sums = {e.submission_id: e.files for e in await running.events("submission-closed")}
        assert sum(sums.values()) == len(found)


@pytest.mark.parametrize("keyed", [True, False])
async def test_a_plain_post_happens_wholly_or_not_at_all(tmp_path: Path, keyed: bool):
    random.seed(13)
    answered: list[str] = []
    files = [("file", (f"{n}", os.urandom(60_000))) for n in range(20)]
    number = 0
    for round_number in range(ROUNDS + 1):
        async with process(tmp_path) as (server, client):
            if round_number < ROUNDS:
                kill_later(server, random.uniform(0.05, 0.5))
            for _ in range(10):
                headers = {"idempotency-key": f"shipment {number}"} if keyed else {}
                try:
                    answer = await client.post("/api/send", files=files, headers=headers)
                except httpx.TransportError:
                    break
                assert answer.status_code in (200, 201), answer.text
                answered.append(answer.json()["submission"])
                number += 1
    assert answered
    async with afterwards(tmp_path) as running:
        sums = {e.submission_id: e.files for e in await running.events("submission-closed")}
        assert set(sums.values()) == {20}
        assert set(answered) <= sums.keys()
        if keyed:
            assert len(sums) == len(set(answered)) == number
        by_submission: dict[str, dict[str, bytes]] = {}
        for event in await running.events("batch-received"):
            by_submission.setdefault(event.submission_id, {}).update(stored_files(running.kit, event))
        expected = {f"{n}/{name}": content for n, (_, (name, content)) in enumerate(files)}
        assert all(found == expected for found in by_submission.values())
        keys = {part.key for event in await running.events("batch-received") for part in event.parts}
        assert {stat.key for stat in running.kit.objects.list("incoming/")} == keys
        assert list((running.kit.scratch / "upload").iterdir()) == []
