"""The contract of the bus port; every adapter passes it."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.bus.embedded import EmbeddedBus
from kit.bus.kafka import KafkaBus
from kit.bus.kafka_settings import KafkaSettings, remove_topics
from kit.clock import utc_now
from kit.documents.store import Store
from kit.errors import NotFound, PermanentError, TransientError, VersionConflict
from kit.saying import say
from schemas.notify import NoticeFailed, NoticeSent
from tests.neighbours.engines import engine


class OnKafka:
    """Like Harness; its topics are of this test alone."""

    def __init__(self, servers: str) -> None:
        self._settings = KafkaSettings(
            servers=servers, prefix=f"contract-{secrets.token_hex(6)}-", partitions=16
        )
        self._open: list[KafkaBus] = []

    def bus(self) -> KafkaBus:
        bus = KafkaBus(self._settings, utc_now, grace=0.2, topics=("notice-sent", "notice-failed"))
        self._open.append(bus)
        return bus

    async def close(self) -> None:
        while self._open:
            await self._open.pop().stop()

    async def remove(self) -> None:
        await remove_topics(self._settings)


class Harness:
    """Opens the bus on the same log again and again, as restarts do."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: list[tuple[EmbeddedBus, Store]] = []

    def bus(self) -> EmbeddedBus:
        store = Store(self._path / "a.db")
        bus = EmbeddedBus(store, utc_now, grace=0.2)
        self._open.append((bus, store))
        return bus

    async def close(self) -> None:
        while self._open:
            bus, store = self._open.pop()
            await bus.stop()
            await store.close()

    async def remove(self) -> None: ...


@pytest.fixture(params=["embedded", "kafka"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path):
    made = Harness(tmp_path) if request.param == "embedded" else OnKafka(engine("kafka"))
    yield made
    await made.close()
    await made.remove()


def sent(number: int, key: str = "k") -> NoticeSent:
    return NoticeSent.first(
        time=utc_now(),
        key=key,
        correlation_id="c",
        step=str(number),
        notice_id=str(number),
        channel="sms",
        kind="x",
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_every_group_gets_every_event_also_those_from_before_it_existed(harness) -> None:
    bus = harness.bus()
    await bus.publish([sent(1), sent(2)])
    got = defaultdict(list)

    def collect(group: str):
        async def handler(event: NoticeSent) -> None:
            got[group].append(event.notice_id)

        return handler

    for group in ("one", "two"):
        bus.subscribe(NoticeSent, group, collect(group))
    await bus.start()
    await bus.publish([sent(3)])
    await until(lambda: all(len(got[g]) == 3 for g in ("one", "two")))
    assert got == {"one": ["1", "2", "3"], "two": ["1", "2", "3"]}
    assert set((await bus.lag()).values()) == {0}


async def test_one_key_keeps_its_order_and_is_never_handled_twice_at_once(harness) -> None:
    bus = harness.bus()
    got = defaultdict(list)
    running: set[str] = set()

    async def handler(event: NoticeSent) -> None:
        assert event.key not in running
        running.add(event.key)
        await asyncio.sleep(0.001)
        got[event.key].append(int(event.notice_id))
        running.discard(event.key)

    bus.subscribe(NoticeSent, "g", handler)
    await bus.start()
    await asyncio.gather(*(bus.publish([sent(n, f"k{n % 7}")]) for n in range(200)))
    await until(lambda: sum(map(len, got.values())) == 200)
    for numbers in got.values():
        assert numbers == sorted(numbers)
    assert not await bus.dead_letters()


async def test_keys_are_handled_side_by_side(harness) -> None:
    bus = harness.bus()
    gate = asyncio.Event()
    started: set[str] = set()

    async def handler(event: NoticeSent) -> None:
        started.add(event.key)
        await gate.wait()

    bus.subscribe(NoticeSent, "g", handler)
    await bus.start()
    await bus.publish([sent(n, f"key-{n}") for n in range(8)])
    await until(lambda: len(started) >= 4)
    gate.set()


async def test_more_events_than_fit_in_memory(harness) -> None:
    bus = harness.bus()
    await bus.publish([sent(n, str(n % 50)) for n in range(3000)])
    got: list[str] = []

    async def handler(event: NoticeSent) -> None:
        got.append(event.notice_id)

    bus.subscribe(NoticeSent, "g", handler)
    await bus.start()
    await bus.publish([sent(n, str(n % 50)) for n in range(3000, 5500)])
    await until(lambda: len(got) == 5500)
    assert len(set(got)) == 5500


async def test_a_restart_goes_on_where_it_was(harness) -> None:
    bus = harness.bus()
    got: list[str] = []

    async def handler(event: NoticeSent) -> None:
        got.append(event.notice_id)

    bus.subscribe(NoticeSent, "g", handler)
    await bus.start()
    await bus.publish([sent(1), sent(2)])
    await until(lambda: len(got) == 2)
    await harness.close()

    again = harness.bus()
    again.subscribe(NoticeSent, "g", handler)
    await again.publish([sent(3)])
    await again.start()
    await until(lambda: len(got) >= 3)
    assert got == ["1", "2", "3"]


async def test_an_event_whose_handler_did_not_finish_comes_again(harness) -> None:
    bus = harness.bus()
    started = asyncio.Event()

    async def hangs(event: NoticeSent) -> None:
        if event.notice_id == "1":
            started.set()
            await asyncio.sleep(60)

    bus.subscribe(NoticeSent, "g", hangs)
    await bus.start()
    await bus.publish([sent(1, "a"), *(sent(n, f"other{n}") for n in range(2, 20))])
    await started.wait()
    await asyncio.sleep(0.05)
    await harness.close()

    got: list[str] = []

    async def handler(event: NoticeSent) -> None:
        got.append(event.notice_id)

    again = harness.bus()
    again.subscribe(NoticeSent, "g", handler)
    await again.start()
    await until(lambda: "1" in got)
    assert not await again.dead_letters()


async def test_a_transient_error_is_tried_again_in_order(harness) -> None:
    bus = harness.bus()
    got: list[str] = []
    failures = iter([TransientError("away"), TransientError("away"), VersionConflict("c", "d", 1)])

    async def handler(event: NoticeSent) -> None:
        if event.notice_id == "1" and (error := next(failures, None)):
            raise error
        got.append(event.notice_id)

    bus.subscribe(NoticeSent, "g", handler)
    await bus.start()
    await bus.publish([sent(1), sent(2)])
    await until(lambda: len(got) == 2)
    assert got == ["1", "2"]
    assert not await bus.dead_letters()


@pytest.mark.parametrize(
    ("error", "attempts"), [(PermanentError("the reason"), 1), (ZeroDivisionError("secret content"), 3)]
)
async def test_poison_goes_to_the_dead_letters_and_its_neighbours_go_on(harness, error, attempts) -> None:
    bus = harness.bus()
    got: list[str] = []

    async def handler(event: NoticeSent) -> None:
        if event.notice_id == "2":
            raise error
        got.append(event.notice_id)

    bus.subscribe(NoticeSent, "g", handler)
    await bus.start()
    await bus.publish([sent(n) for n in (1, 2, 3)])
    await until(lambda: got == ["1", "3"])
    (letter,) = await bus.dead_letters()
    assert (letter.group, letter.topic, letter.attempts) == ("g", "notice-sent", attempts)
    assert letter.event_id == sent(2).id
    assert "secret" not in letter.reason


async def test_a_reason_keeps_its_code_and_what_it_names(harness) -> None:
    bus = harness.bus()
    reasons = {
        "1": PermanentError(say("given-up", "%(destination)s is away", destination="pacs")),
        "2": NotFound("no-object", "It is not here."),
    }

    async def handler(event: NoticeSent) -> None:
        raise reasons[event.notice_id]

    bus.subscribe(NoticeSent, "g", handler)
    await bus.start()
    await bus.publish([sent(n) for n in (1, 2)])
    while len(letters := await bus.dead_letters()) < 2:
        await asyncio.sleep(0.02)
    found = {letter.event_id: letter for letter in letters}
    coded, refused = found[sent(1).id], found[sent(2).id]
    said = coded.said
    assert (said.code, said.text, said.values) == ("given-up", "pacs is away", {"destination": "pacs"})
    assert coded.reason == "pacs is away"
    assert (refused.said.code, refused.reason) == ("refusal:no-object", "It is not here.")


async def test_replay_reaches_only_the_group_it_died_in_and_clears_the_letter(harness) -> None:
    bus = harness.bus()
    broken = True
    got = defaultdict(list)

    async def fragile(event: NoticeSent) -> None:
        if broken:
            raise PermanentError("not yet")
        got["fragile"].append(event.notice_id)

    async def steady(event: NoticeSent) -> None:
        got["steady"].append(event.notice_id)

    bus.subscribe(NoticeSent, "fragile", fragile)
    bus.subscribe(NoticeSent, "steady", steady)
    await bus.start()
    await bus.publish([sent(1)])
    async with asyncio.timeout(10):
        while not (letters := await bus.dead_letters()):
            await asyncio.sleep(0.01)
    await bus.replay(letters[0].id)
    async with asyncio.timeout(10):
        while not (again := await bus.dead_letters()):
            await asyncio.sleep(0.01)
    assert again[0].attempts == 2
    broken = False
    await bus.replay(letters[0].id)
    await until(lambda: got["fragile"] == ["1"])
    assert got["steady"] == ["1"]
    async with asyncio.timeout(10):
        while await bus.dead_letters():
            await asyncio.sleep(0.01)
    with pytest.raises(NotFound):
        await bus.replay("nothing")


async def test_the_log_can_be_read_from_a_position_and_by_topic(harness) -> None:
    bus = harness.bus()
    failed = NoticeFailed.first(
        time=utc_now(), key="k", correlation_id="c", notice_id="9", channel="sms", kind="x", reason="r"
    )
    await bus.publish([sent(1), failed, sent(2)])
    everything = await bus.read(after=0)
    assert [event.notice_id for _, event in everything] == ["1", "9", "2"]
    assert [e.notice_id for _, e in await bus.read(after=everything[0][0])] == ["9", "2"]
    assert [e.notice_id for _, e in await bus.read(topics=["notice-sent"], limit=1)] == ["2"]


async def test_a_tail_hears_what_is_published_from_its_start_on_and_remembers_nothing(harness) -> None:
    bus = harness.bus()
    heard: list[str] = []
    handled: list[str] = []

    async def handle(event: NoticeSent) -> None:
        handled.append(event.notice_id)

    bus.tail(NoticeSent, lambda event: heard.append(event.notice_id))
    bus.subscribe(NoticeSent, "g", handle)
    await bus.publish([sent(1)])
    await bus.start()
    await until(lambda: handled == ["1"])
    failed = NoticeFailed.first(
        time=utc_now(), key="k", correlation_id="c", notice_id="9", channel="sms", kind="x", reason="r"
    )
    await bus.publish([failed, *(sent(n, f"key-{n}") for n in range(2, 12))])
    await until(lambda: len(heard) >= 10)
    assert sorted(heard, key=int) == [str(n) for n in range(2, 12)]
    await harness.close()

    again = harness.bus()
    heard.clear()
    again.tail(NoticeSent, lambda event: heard.append(event.notice_id))
    await again.publish([sent(20)])
    await again.start()
    await again.publish([sent(21)])
    await until(lambda: "21" in heard)
    assert heard == ["21"]
    assert {group for group, _ in await again.lag()} <= {"g"}
