"""What the embedded bus does when starting fails, the disk is full, or the log holds what it can't read."""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from kit.bus import embedded, tries
from kit.bus import feed as feeds
from kit.bus.embedded import EmbeddedBus
from kit.bus.port import DeadLetter
from kit.clock import utc_now
from kit.documents.store import Store, Transaction
from kit.errors import NoSpace, NotFound, PermanentError, StoreAway, TransientError
from schemas.notify import NoticeSent


def sent(number: int) -> NoticeSent:
    return NoticeSent.first(
        time=utc_now() - timedelta(days=30),
        key="k",
        correlation_id="c",
        step=str(number),
        notice_id=str(number),
        channel="sms",
        kind="x",
    )


class Opened:
    """A bus with one subscriber that writes down what it gets."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "a.db")
        self.bus = EmbeddedBus(self.store, utc_now, grace=0.2)
        self.got: list[str] = []
        self.failures: list[Exception] = []
        self.bus.subscribe(NoticeSent, "g", self.handle)

    async def handle(self, event: NoticeSent) -> None:
        if self.failures:
            raise self.failures.pop()
        self.got.append(event.notice_id)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.got) < count:
                await asyncio.sleep(0.005)

    async def buried(self) -> list[DeadLetter]:
        """Start, and have one event end as a dead letter."""
        self.failures = [PermanentError("no")]
        await self.bus.start()
        await self.bus.publish([sent(1)])
        async with asyncio.timeout(20):
            while not (letters := await self.bus.dead_letters()):
                await asyncio.sleep(0.005)
        return letters

    async def close(self) -> None:
        await self.bus.stop()
        await self.store.close()


async def test_a_start_that_failed_leaves_every_group_where_it_was(tmp_path: Path) -> None:
    first = Opened(tmp_path)
    await first.bus.publish([sent(1), sent(2)])
    await first.bus.start()
    await first.until(2)
    await first.close()

    never_started = Opened(tmp_path)
    await never_started.close()

    again = Opened(tmp_path)
    await again.bus.start()
    await again.bus.publish([sent(3)])
    await again.until(1)
    assert again.got == ["3"]
    await again.close()


@pytest.mark.parametrize("trouble", [NoSpace("full"), StoreAway("document store", "away")])
async def test_a_store_that_is_full_or_away_holds_events_back_and_buries_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    monkeypatch.setattr(tries, "FULL_S", 0.001)
    monkeypatch.setattr(tries, "_DELAYS", (0.001,))
    opened = Opened(tmp_path)
    opened.failures = [trouble] * (2 * tries.TRANSIENT_TRIES)
    await opened.bus.start()
    await opened.bus.publish([sent(1)])
    await opened.until(1)
    assert await opened.bus.dead_letters() == []
    await opened.close()


async def test_an_event_that_cannot_be_read_stops_its_feed_only_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "UNREADABLE_S", 0.01)
    opened = Opened(tmp_path)
    await opened.bus.publish([sent(1), sent(2)])
    spoil = "UPDATE log SET body = ? WHERE seq = 1"
    kept = opened.store.read_now(lambda c: c.execute("SELECT body FROM log WHERE seq = 1").fetchone()[0])
    await opened.store.write(lambda t: t.connection.execute(spoil, (b'{"topic":"notice-sent"}',)) and None)
    await opened.bus.start()
    await asyncio.sleep(0.1)
    assert opened.got == []
    await opened.store.write(lambda t: t.connection.execute(spoil, (kept,)) and None)
    await opened.until(2)
    assert opened.got == ["1", "2"]
    await opened.close()


async def test_events_that_a_newer_version_left_in_the_log_are_passed_over(tmp_path: Path) -> None:
    opened = Opened(tmp_path)
    await opened.bus.publish([sent(1), sent(2)])
    newer = "UPDATE log SET topic = 'notice-praised', body = ? WHERE seq = 1"
    await opened.store.write(lambda t: t.connection.execute(newer, (b'{"topic":"notice-praised"}',)) and None)
    assert [seq for seq, _ in await opened.bus.read(after=0)] == [2]
    assert await opened.bus.read(after=0, topics=("notice-praised",)) == []
    await opened.bus.start()
    await opened.until(1)
    assert opened.got == ["2"]
    await opened.close()


async def test_replaying_what_nobody_here_handles_is_refused_and_the_letter_stays(tmp_path: Path) -> None:
    opened = Opened(tmp_path)
    letters = await opened.buried()
    await opened.close()

    store = Store(tmp_path / "a.db")
    bus = EmbeddedBus(store, utc_now, grace=0.2)
    await bus.start()
    with pytest.raises(NotFound):
        await bus.replay(letters[0].id)
    assert [letter.id for letter in await bus.dead_letters()] == [letters[0].id]
    await bus.stop()
    await store.close()


async def test_a_replay_whose_end_meets_a_full_disk_leaves_no_letter_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Opened(tmp_path)
    letters = await opened.buried()
    write, refused = opened.store.write, 0

    async def full(operation: Callable[[Transaction], None]) -> None:
        nonlocal refused
        if "settled" in operation.__qualname__ and not refused:
            refused += 1
            raise NoSpace("The disk is full.")
        await write(operation)

    monkeypatch.setattr(embedded, "_AGAIN_S", 0.01)
    monkeypatch.setattr(opened.store, "write", full)
    await opened.bus.replay(letters[0].id)
    left = "SELECT count(*) FROM dead_letters"
    async with asyncio.timeout(20):
        while not refused or opened.store.read_now(lambda c: c.execute(left).fetchone()[0]):
            await asyncio.sleep(0.005)
    monkeypatch.undo()
    await opened.close()


async def test_a_letter_that_cannot_be_read_does_not_keep_the_bus_from_starting(tmp_path: Path) -> None:
    first = Opened(tmp_path)
    insert = (
        "INSERT INTO dead_letters (id, consumer, topic, event_id, body, reason, attempts, time, replaying) "
        "VALUES ('1', 'g', 'notice-sent', '1', ?, '', 1, '', 1)"
    )
    await first.store.write(lambda t: t.connection.execute(insert, (b'{"topic":"of-later"}',)) and None)
    await first.close()
    again = Opened(tmp_path)
    await again.bus.start()
    await again.bus.publish([sent(1)])
    await again.until(1)
    await again.close()


async def test_a_topic_nobody_reads_is_trimmed_by_age_too(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db")
    bus = EmbeddedBus(store, utc_now, grace=0.2)
    await bus.publish([sent(1)])
    await bus._trim()
    assert await bus.read() == []
    await store.close()


async def test_trouble_of_the_file_while_reading_is_worth_another_try(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db")

    def busy(_: sqlite3.Connection) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR, "SQLITE_IOERR"
        raise error

    with pytest.raises(TransientError):
        await store.read(busy)
    with pytest.raises(TransientError):
        store.read_now(busy)
    with pytest.raises(sqlite3.OperationalError):
        await store.read(lambda c: c.execute("SELECT * FROM nothing"))
    await store.close()
