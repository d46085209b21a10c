"""What one process handled is told to the others: gathered, once, and never by way of themselves."""

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from kit.clock import utc_now
from kit.errors import Unavailable
from schemas.portal import PagesChanged
from services.portal import spreading
from services.portal.live import Live
from services.portal.spreading import Spreading


class Wire:
    """Stands in for the bus: whoever listens hears what anybody publishes."""

    def __init__(self) -> None:
        self.published: list[PagesChanged] = []
        self.away = False
        self._hearing: list[Callable[[PagesChanged], None]] = []

    def tail(self, _: type[PagesChanged], hear: Callable[[PagesChanged], None]) -> None:
        self._hearing.append(hear)

    async def publish(self, events: Sequence[PagesChanged]) -> None:
        if self.away:
            raise Unavailable("Kafka", "it is away")
        self.published += events
        for event in events:
            for hear in self._hearing:
                hear(event)


def process(wire: Wire, owner: str, *, exclusive: bool = False) -> tuple[Live, Spreading]:
    kit: Any = SimpleNamespace(bus=wire, owner=owner, clock=utc_now, exclusive=exclusive, documents=None)
    live = Live(kit.documents)
    return live, Spreading(kit, live)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_the_others_hear_it_and_the_one_itself_does_not_hear_it_again() -> None:
    wire = Wire()
    (here, one), (there, other) = process(wire, "a"), process(wire, "b")
    heard: list[str] = []
    told_here: list[str] = []
    here.tell, there.tell = told_here.append, heard.append  # type: ignore[method-assign]
    await one.start()
    await other.start()
    for name in ("s1", "s2", "s1"):
        here.changed(name)
    await until(lambda: len(heard) == 2)
    assert heard == ["s1", "s2"]
    assert told_here == ["s1", "s2", "s1"]
    assert [event.process for event in wire.published] == ["a"]
    await one.stop()
    await other.stop()


async def test_very_many_come_in_pieces_and_each_piece_is_a_fact_of_its_own() -> None:
    wire = Wire()
    live, one = process(wire, "a")
    for number in range(1200):
        live.changed(f"s{number}")
    await one.start()
    await until(lambda: len(wire.published) == 3)
    assert [len(event.ids) for event in wire.published] == [500, 500, 200]
    assert len({event.id for event in wire.published}) == 3
    await one.stop()


async def test_without_a_bus_news_are_missed_and_the_next_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "_GATHER_S", 0)
    wire = Wire()
    wire.away = True
    live, one = process(wire, "a")
    await one.start()
    live.changed("missed")
    await until(lambda: not one._news)
    await asyncio.sleep(0)
    wire.away = False
    live.changed("s1")
    await until(lambda: bool(wire.published))
    assert wire.published[0].ids == ("s1",)
    await one.stop()


async def test_alone_there_is_nobody_to_tell() -> None:
    wire = Wire()
    live, one = process(wire, "a", exclusive=True)
    await one.start()
    live.changed("s1")
    assert live.spread is None
    await one.stop()
    assert wire.published == []
