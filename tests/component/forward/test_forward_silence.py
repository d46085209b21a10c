"""A destination that does not answer is told of once, and so is that it answers again."""

import asyncio
from pathlib import Path

import pytest

from kit.documents.port import Documents
from kit.errors import StoreAway
from kit.service import Kit
from schemas.forward import DestinationAway, DestinationBack
from services.forward import tasks
from services.forward.rules.states import State
from services.forward.silence import SILENCES
from tests.component.forward.badpacs import ScriptedPacs
from tests.component.forward.studies import QUICK, ct, decided, forwarding, make_study
from tests.neighbours.process import free_port


async def silences(documents: Documents) -> list[str]:
    return [row["id"] for row in await documents.project(SILENCES, ["id"])]


async def test_told_once_and_told_when_it_is_over(kit_env: Kit, tmp_path: Path):
    pacs = ScriptedPacs(status=lambda uid, times: 0, port=free_port())
    settings = QUICK.model_copy(update={"away_notice_s": 0, "max_attempts": 20, "connect_timeout_s": 0.5})
    async with forwarding(kit_env, settings) as running:
        await running.destination(**pacs.destination())
        event = decided(make_study(kit_env, ct(tmp_path / "ct", 2)), "pacs")
        await running.decide(event)
        async with asyncio.timeout(30):
            while not await running.events("destination-away"):
                await asyncio.sleep(0.05)
        with pacs.running():
            delivery = await running.ended(event, "pacs", 60)
            assert delivery.state is State.PROVEN, delivery.last_error
        [away] = await running.events("destination-away")
        [back] = await running.events("destination-back")
    assert isinstance(away, DestinationAway)
    assert isinstance(back, DestinationBack)
    assert (away.destination, away.waiting, back.since) == ("pacs", 1, away.since)
    assert await silences(kit_env.documents) == []


async def test_a_short_pause_is_nobody_s_business(kit_env: Kit, tmp_path: Path):
    pacs = ScriptedPacs(status=lambda uid, times: 0, port=free_port())
    settings = QUICK.model_copy(update={"max_attempts": 20, "connect_timeout_s": 0.5})
    async with forwarding(kit_env, settings) as running:
        await running.destination(**pacs.destination())
        event = decided(make_study(kit_env, ct(tmp_path / "ct", 1)), "pacs")
        await running.decide(event)
        await running.until(event, "pacs", lambda delivery: bool(delivery.last_error))
        assert await silences(kit_env.documents) == ["pacs"]
        with pacs.running():
            await running.ended(event, "pacs", 60)
        assert await running.events("destination-away", "destination-back") == []
    assert await silences(kit_env.documents) == []


async def test_a_store_that_is_away_is_not_the_destination_s_silence(
    kit_env: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def send(*_: object) -> None:
        raise StoreAway("object store", "it does not answer")

    monkeypatch.setattr(tasks, "send", send)
    pacs = ScriptedPacs(status=lambda uid, times: 0, port=free_port())
    settings = QUICK.model_copy(update={"away_notice_s": 0, "max_attempts": 20})
    async with forwarding(kit_env, settings) as running:
        await running.destination(**pacs.destination())
        event = decided(make_study(kit_env, ct(tmp_path / "ct", 1)), "pacs")
        await running.decide(event)
        await running.until(event, "pacs", lambda delivery: "object store" in delivery.last_error)
        assert await silences(kit_env.documents) == []
        assert await running.events("destination-away") == []
