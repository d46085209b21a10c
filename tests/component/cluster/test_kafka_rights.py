"""Every service does its whole work with the rights that k8s/ gives it on Kafka, and has no others."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from anteroom.composition import BUILDERS
from anteroom.settings import Settings, load
from kit.bus.kafka import KafkaBus
from kit.bus.kafka_kept import check_topics
from kit.bus.kafka_settings import ensure_topics
from kit.clock import utc_now
from kit.errors import TransientError, Unavailable
from schemas.portal import StudyDecided
from scripts.strimzi import topics, users
from tests.component.cluster.test_run import ready, running, settings_on
from tests.contract.test_schemas import EXAMPLES
from tests.neighbours.engines import engine
from tests.neighbours.guarded_kafka import PASSWORD, account, guarded_kafka

ADMIN = "the-token-of-this-test-" + "x" * 20
SLICE = Path(__file__).parents[3] / "anteroom" / "demo" / "study" / "slice-01.dcm"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with guarded_kafka(tmp_path_factory.mktemp("kafka"), list(topics()), list(users())) as port:
        yield port


def settings_of(service: str, folder: Path, port: int, name: str) -> Settings:
    mongo, s3 = engine("mongo"), engine("s3")
    base = settings_on(folder / service, f"127.0.0.1:{port}", mongo, s3, name)
    kafka = {
        "servers": f"127.0.0.1:{port}",
        "username": f"anteroom-{service}",
        "password": PASSWORD,
        "mechanism": "PLAIN",
        "create_topics": False,
    }
    process = {"data": folder / service, "key_file": folder / "site.key", "workers": 1, "admin_token": ADMIN}
    return load(
        None,
        {
            "process": process,
            "http": {"port": 0},
            "upload": {"dicom_port": -1},
            "match": {"hl7_port": 0},
            "kafka": kafka,
            "mongo": base.mongo.model_dump(),
            "s3": base.s3.model_dump(),
        },
    )


async def come(ask: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(60):
        while not (found := await ask()):
            await asyncio.sleep(0.1)
    return found


async def test_a_study_goes_its_way_with_everybodys_own_rights(kafka: int, tmp_path: Path) -> None:
    name = f"rights-{secrets.token_hex(6)}"
    (tmp_path / "site.key").write_text(secrets.token_hex(32))
    async with AsyncExitStack() as stack:
        clients = {}
        for service in BUILDERS:
            settings = settings_of(service, tmp_path, kafka, name)
            clients[service] = await stack.enter_async_context(running(settings, service))
        for client in clients.values():
            await ready(client)
            client.headers["authorization"] = f"Bearer {ADMIN}"
        portal = clients["portal"]
        account_id = (
            await portal.post("/api/accounts", json={"name": "H", "origin": "h", "roles": ["send"]})
        ).json()["id"]
        token = (await portal.post("/api/tokens", json={"account": account_id})).json()["secret"]
        sent = await clients["upload"].post(
            "/api/send",
            files={"file": ("slice-01.dcm", SLICE.read_bytes())},
            headers={"authorization": f"Bearer {token}"},
        )
        assert sent.status_code == 201, sent.text

        async def waiting() -> Any:
            return (await portal.get("/api/studies", params={"state": "unmatched"})).json()["studies"]

        (study,) = await come(waiting)
        detail = (await portal.get(f"/api/studies/{study['id']}")).json()
        decided = await portal.post(
            f"/api/studies/{study['id']}/decision",
            json={
                "action": "decline",
                "reason": "not ours",
                "study_revision": detail["study"]["revision"],
                "match_revision": detail["match"]["revision"],
            },
        )
        assert decided.status_code in {200, 201}, decided.text

        async def handled() -> bool:
            lag = (await portal.get("/api/lag")).json()
            return bool(lag) and not any(row["events"] for row in lag)

        await come(handled)
        assert (await portal.get("/api/dead-letters")).json() == []
        logged = {row["topic"] for row in (await portal.get("/api/events", params={"limit": 1000})).json()}
        assert {
            "submission-opened",
            "batch-received",
            "study-arrived",
            "study-unmatched",
            "study-decided",
        } <= logged
        seen = (await clients["view"].get(f"/dicomweb/study/{study['id']}/studies")).json()
        assert len(seen) == 1
        for service, client in clients.items():
            assert "anteroom_bus_lag_events{" in (await client.get("/metrics")).text, service


async def test_nobody_may_write_what_is_anothers(kafka: int) -> None:
    """A service that was taken over can't decide anything."""
    text = next(path for path in EXAMPLES if path.parent.name == StudyDecided.topic).read_text()
    event = StudyDecided.model_validate_json(text)
    for user, allowed in (("anteroom-view", False), ("anteroom-portal", True)):
        bus = KafkaBus(account(kafka, user), utc_now)
        try:
            if allowed:
                await bus.publish([event])
            else:
                with pytest.raises(TransientError):
                    await bus.publish([event])
        finally:
            await bus.stop()


async def test_a_wrong_password_is_a_sentence_at_once(kafka: int) -> None:
    settings = replace(account(kafka, "anteroom-match"), password="wrong")
    async with asyncio.timeout(15):
        with pytest.raises(Unavailable, match=r"username, password and mechanism"):
            await ensure_topics(settings, ["study-matched"])


async def test_each_service_sees_whether_its_topics_are_kept_as_declared(kafka: int) -> None:
    told = await check_topics(replace(account(kafka, "anteroom-match"), partitions=4), ["study-matched"])
    assert any("study-matched: partitions is 2, declared is 4" in one for one in told)
    assert any("study-matched: retention.ms is 604800000" in one for one in told)
