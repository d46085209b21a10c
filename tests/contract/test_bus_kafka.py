"""What only the bus on Kafka must do: share partitions, give them back, survive its engine's restarts."""

import asyncio
import contextlib
import secrets
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from kit.bus.kafka import KafkaBus
from kit.bus.kafka_settings import KafkaSettings, connection, ensure_topics, remove_topics
from kit.clock import utc_now
from kit.errors import PermanentError, Unavailable
from schemas.notify import NoticeFailed, NoticeSent
from scripts.engines.__main__ import ROOT
from scripts.engines.run import start, stop
from tests.contract.test_bus import sent, until
from tests.neighbours.engines import engine


@pytest.fixture
async def buses():
    settings = KafkaSettings(
        servers=engine("kafka"), prefix=f"contract-{secrets.token_hex(6)}-", partitions=8
    )
    made: list[KafkaBus] = []

    def make(grace: float = 1) -> KafkaBus:
        made.append(KafkaBus(settings, utc_now, grace=grace, topics=("notice-sent", "notice-failed")))
        return made[-1]

    make.settings = settings
    yield make
    for bus in made:
        await bus.stop()
    await remove_topics(settings)


async def test_members_share_partitions_and_none_is_handled_in_two_places_at_once(buses) -> None:
    running: Counter[str] = Counter()
    by_member: dict[int, set[str]] = defaultdict(set)
    got: dict[str, list[int]] = defaultdict(list)

    def handler(member: int):
        async def handle(event: NoticeSent) -> None:
            running[event.key] += 1
            assert running[event.key] == 1
            await asyncio.sleep(0.005)
            by_member[member].add(event.key)
            if int(event.notice_id) not in got[event.key]:
                got[event.key].append(int(event.notice_id))
            running[event.key] -= 1

        return handle

    members = [buses() for _ in range(3)]
    for number, bus in enumerate(members):
        bus.subscribe(NoticeSent, "g", handler(number))
    await members[0].start()
    for n in range(300):
        await members[0].publish([sent(n, f"key-{n % 10}")])
        if n == 100:
            joining = asyncio.gather(members[1].start(), members[2].start())
        if n == 150:
            await joining
        if n == 250:
            await until(lambda: len(by_member[2]) > 0)
            await members[2].stop()
    await until(lambda: sum(map(len, got.values())) == 300)
    assert all(numbers == sorted(numbers) for numbers in got.values())
    assert not await members[0].dead_letters()
    assert len(by_member) == 3


async def test_a_slow_handler_holds_up_only_its_partition_and_the_rest_waits_outside(buses) -> None:
    bus = buses()
    gate = asyncio.Event()
    got: list[str] = []

    async def handler(event: NoticeSent) -> None:
        if event.key == "slow":
            await gate.wait()
        got.append(event.notice_id)

    bus.subscribe(NoticeSent, "g", handler)
    await bus.publish([sent(n, "slow") for n in range(1000)])
    await bus.start()
    await bus.publish([sent(1000 + n, f"other-{n}") for n in range(20)])
    await until(lambda: len(got) >= 15)
    (waiting,) = [len(lane.waiting) for lane in bus._lanes["g"]._lanes.values() if lane.waiting]
    assert waiting <= 200
    gate.set()
    await until(lambda: len(got) == 1020)
    assert [n for n in map(int, got) if n < 1000] == list(range(1000))


async def test_what_nobody_can_read_is_not_passed_over(buses, monkeypatch) -> None:
    monkeypatch.setattr("kit.bus.kafka._UNREADABLE_S", 0.05)
    bus = buses(grace=0.1)
    got: list[str] = []

    async def handler(event: NoticeSent) -> None:
        got.append(event.notice_id)

    bus.subscribe(NoticeSent, "g", handler)
    await bus.publish([sent(1, "other")])
    producer = AIOKafkaProducer(bootstrap_servers=buses.settings.servers)
    await producer.start()
    topic = buses.settings.prefix + "notice-sent"
    await producer.send_and_wait(topic, b"{}", key=b"k", partition=0, headers=[("x", b"\xff")])
    await producer.stop()
    await bus.start()
    await until(lambda: got == ["1"])
    await asyncio.sleep(0.2)
    assert await bus.lag() == {("g", "notice-sent"): 1}


async def test_a_letter_that_nobody_handles_any_more_is_put_back_with_the_reason(buses) -> None:
    first = buses()

    async def fails(_: NoticeSent) -> None:
        raise PermanentError("no")

    first.subscribe(NoticeSent, "g", fails)
    await first.start()
    await first.publish([sent(1)])
    async with asyncio.timeout(20):
        while not (letters := await first.dead_letters()):
            await asyncio.sleep(0.05)
    await first.stop()

    later = buses()
    later.subscribe(NoticeFailed, "g", fails)
    await later.start()
    await later.replay(letters[0].id)
    async with asyncio.timeout(20):
        while not (letters := await later.dead_letters()):
            await asyncio.sleep(0.05)
    assert letters[0].reason == "g no longer handles notice-sent"


async def test_downstream_readers_are_in_the_lag(buses) -> None:
    bus, reader = buses(), buses()
    gate = asyncio.Event()

    async def handler(_: NoticeSent) -> None:
        await gate.wait()

    reader.subscribe(NoticeSent, "downstream", handler)
    await bus.publish([sent(n, "k") for n in range(5)])
    await reader.start()
    gate.set()
    async with asyncio.timeout(20):
        while (await bus.lag()) != {("downstream", "notice-sent"): 0}:
            await asyncio.sleep(0.05)


async def test_without_kafka_publishing_and_starting_say_so(tmp_path) -> None:
    bus = KafkaBus(KafkaSettings(servers="127.0.0.1:1"), utc_now, grace=0)
    with pytest.raises(Unavailable):
        await bus.publish([sent(1)])
    with pytest.raises(Unavailable):
        await bus.start()
    assert "Kafka" in str(await bus.trouble())
    await bus.stop()


@pytest.mark.slow
async def test_a_restart_of_kafka_loses_nothing(tmp_path) -> None:
    engine("kafka")
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "lib").symlink_to(ROOT / "kafka" / "lib")
    port = await asyncio.to_thread(start, tmp_path, "kafka")
    settings = KafkaSettings(servers=f"127.0.0.1:{port}", partitions=8)
    bus = KafkaBus(settings, utc_now, grace=1, topics=("notice-sent",))
    try:
        await _restart_while_sending(bus, tmp_path)
    finally:
        await bus.stop()
        await asyncio.to_thread(stop, tmp_path, "kafka")


async def _restart_while_sending(bus: KafkaBus, root: Path) -> None:
    got: list[str] = []

    async def handler(event: NoticeSent) -> None:
        got.append(event.notice_id)

    bus.subscribe(NoticeSent, "g", handler)
    await bus.start()
    sending = True

    async def keep_sending() -> int:
        n = 0
        while sending:
            try:
                await bus.publish([sent(n, f"key-{n % 5}")])
                n += 1
            except Unavailable:
                await asyncio.sleep(0.2)
        return n

    task = asyncio.create_task(keep_sending())
    await until(lambda: len(got) > 50)
    await asyncio.to_thread(stop, root, "kafka", kill=True)
    await asyncio.sleep(1)
    await asyncio.to_thread(start, root, "kafka")
    before = len(set(got))
    async with asyncio.timeout(90):
        while len(set(got)) < before + 50:
            await asyncio.sleep(0.1)
    sending = False
    count = await task
    async with asyncio.timeout(60):
        while len(set(got)) < count:
            await asyncio.sleep(0.1)
    assert {str(n) for n in range(count)} <= set(got)
    await asyncio.to_thread(stop, root, "kafka")
    with pytest.raises(Unavailable):
        await bus.publish([sent(count)])
    async with asyncio.timeout(45):
        await bus.stop()


async def test_every_process_hears_the_tail_while_a_group_shares_the_work(buses) -> None:
    heard: dict[int, set[str]] = defaultdict(set)
    handled: list[str] = []

    async def handle(event: NoticeSent) -> None:
        handled.append(event.notice_id)

    members = [buses() for _ in range(3)]
    for number, bus in enumerate(members):
        bus.tail(NoticeSent, lambda event, number=number: heard[number].add(event.notice_id))
        bus.subscribe(NoticeSent, "g", handle)
        await bus.start()
    await members[0].publish([sent(n, f"key-{n}") for n in range(30)])
    everything = {str(n) for n in range(30)}
    await until(lambda: all(heard[number] == everything for number in range(3)))
    await until(lambda: set(handled) == everything)
    assert {group for group, _ in await members[0].lag()} == {"g"}


@pytest.mark.slow
async def test_a_tail_hears_again_after_kafka_was_away(tmp_path) -> None:
    engine("kafka")
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "lib").symlink_to(ROOT / "kafka" / "lib")
    port = await asyncio.to_thread(start, tmp_path, "kafka")
    bus = KafkaBus(KafkaSettings(servers=f"127.0.0.1:{port}"), utc_now, grace=1, topics=("notice-sent",))
    heard: list[str] = []
    bus.tail(NoticeSent, lambda event: heard.append(event.notice_id))
    try:
        await bus.start()
        await bus.publish([sent(1)])
        await until(lambda: heard == ["1"])
        await asyncio.to_thread(stop, tmp_path, "kafka", kill=True)
        await asyncio.to_thread(start, tmp_path, "kafka")
        async with asyncio.timeout(60):
            number = 2
            while len(heard) < 2:
                with contextlib.suppress(Unavailable):
                    await bus.publish([sent(number)])
                    number += 1
                await asyncio.sleep(0.2)
    finally:
        await bus.stop()
        await asyncio.to_thread(stop, tmp_path, "kafka")


async def test_topics_that_others_made_with_less_are_told_at_the_start_and_left_as_they_are(
    buses, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"{buses.settings.prefix}notice-sent"
    admin = AIOKafkaAdminClient(**connection(buses.settings))
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 2, 1, topic_configs={"retention.ms": "60000"})])
    finally:
        await admin.close()
    for _ in range(2):
        caplog.clear()
        bus = buses()
        await bus.start()
        await bus.stop()
        told = [record.getMessage() for record in caplog.records if "declared is" in record.getMessage()]
        assert [
            one.partition(": fewer")[0].partition(": events")[0] for one in told if "bytes" not in one
        ] == [
            f"Kafka: topic {name}: partitions is 2, declared is 8",
            f"Kafka: topic {name}: retention.ms is 60000, declared is 1209600000",
        ]


async def test_topics_can_t_be_made_while_no_broker_lets_us_in(buses) -> None:
    with pytest.raises(Unavailable, match=r"kafka\.tls"):
        await ensure_topics(replace(buses.settings, tls=True), ["notice-sent"])
    with pytest.raises(Unavailable, match=r"kafka\.servers"):
        await ensure_topics(replace(buses.settings, username="anteroom", password="wrong"), ["notice-sent"])
