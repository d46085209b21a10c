"""Several upload processes on the engines: what one has acknowledged, no other closes over."""

import asyncio
import secrets
from pathlib import Path
from typing import Any

import httpx

from anteroom.settings import Settings
from kit.bus.kafka_settings import KafkaSettings, remove_topics
from tests.component.cluster.test_run import ADMIN, ready, running, settings_on
from tests.component.upload.test_upload_stow import instance, related
from tests.neighbours.engines import engine


async def test_a_submission_is_whole_whoever_looks_at_it(tmp_path: Path) -> None:
    name = f"upload-{secrets.token_hex(6)}"
    engines = engine("kafka"), engine("mongo"), engine("s3")
    key = tmp_path / "site.key"
    key.write_text(secrets.token_hex(32))

    def process(place: str) -> Settings:
        settings = settings_on(tmp_path / place, *engines, name)
        quick = settings.upload.model_copy(update={"idle_s": 3600, "quiet_s": 1})
        shared = settings.process.model_copy(update={"key_file": key})
        return settings.model_copy(update={"process": shared, "upload": quick})

    try:
        async with running(process("portal"), "portal") as portal:
            await ready(portal)
            sender = await sender_of(portal)
            async with running(process("a"), "upload") as one:
                await ready(one)
                await send(one, sender)
                async with running(process("b"), "upload") as other:
                    await ready(other)
                    await send(one, sender)
            async with running(process("c"), "upload") as other:
                await ready(other)
                (found,) = await until_closed(other)
            assert (found["files"], found["batches"], found["reason"]) == (2, 1, "quiet")
    finally:
        await remove_topics(KafkaSettings(servers=engines[0], prefix=f"{name}-"))


async def sender_of(portal: httpx.AsyncClient) -> dict[str, str]:
    await portal.post("/api/accounts", headers=ADMIN, json={"name": "Clinic", "roles": ["send"]})
    issued = await portal.post("/api/tokens", headers=ADMIN, json={"account": "Clinic"})
    return {"authorization": f"Bearer {issued.json()['secret']}"}


async def send(upload: httpx.AsyncClient, sender: dict[str, str]) -> None:
    headers, body = related(instance())
    answer = await upload.post("/dicomweb/studies", headers={**headers, **sender}, content=body)
    assert answer.status_code == 200, answer.text


async def until_closed(upload: httpx.AsyncClient) -> list[dict[str, Any]]:
    async with asyncio.timeout(60):
        while True:
            found = (await upload.get("/api/submissions", headers=ADMIN)).json()["items"]
            if all(submission["state"] == "closed" for submission in found):
                return list(found)
            await asyncio.sleep(0.1)
