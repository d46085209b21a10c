"""The bus port in one process: a durable log in SQLite, delivered in memory."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from kit import acts
from kit.bus.feed import Feed
from kit.bus.log import SCHEMA, append
from kit.bus.port import DeadLetter, E, Handler
from kit.bus.reasons import told
from kit.clock import Clock
from kit.documents.port import instant_text
from kit.documents.store import Appended, Store, Transaction
from kit.errors import NotFound, TransientError
from kit.ids import derived_id
from schemas.catalogue import TOPICS
from schemas.envelope import Event
from schemas.wire import decode, encode

_log = logging.getLogger(__name__)

_FLUSH_EVERY = 0.25
_TRIM_EVERY = 3600.0
_AGAIN_S = 1.0
_END = 1 << 62


class EmbeddedBus:
    def __init__(self, store: Store, clock: Clock, *, grace: float = 10.0) -> None:
        self._store = store
        self._clock = clock
        self._grace = grace
        self._feeds: dict[tuple[str, str], Feed] = {}
        self._tails: list[tuple[type[Event], Callable[[Event], None]]] = []
        self._keeper: asyncio.Task[None] | None = None
        self._started = False
        store.define(SCHEMA)

    def subscribe(self, event: type[E], group: str, handler: Handler[E]) -> None:
        key = (group, event.topic)
        if key in self._feeds:
            raise ValueError(f"{group} already has a handler for {event.topic}")
        self._feeds[key] = Feed(
            event.topic,
            group,
            handler,  # type: ignore[arg-type]
            fetch=self._fetch,
            bury=self._bury,
        )

    def tail(self, event: type[E], hear: Callable[[E], None]) -> None:
        self._tails.append((event, hear))  # type: ignore[arg-type]

    async def publish(self, events: Sequence[Event]) -> None:
        def operation(transaction: Transaction) -> None:
            transaction.appended.extend(append(transaction.connection, events))

        await self._store.write(operation)
        acts.emitted(events)

    async def start(self) -> None:
        rows = await self._store.read(
            lambda connection: connection.execute(
                "SELECT consumer, topic, partition, seq FROM offsets"
            ).fetchall()
        )
        offsets: dict[tuple[str, str], dict[int, int]] = {}
        for group, topic, partition, seq in rows:
            offsets.setdefault((group, topic), {})[partition] = seq
        for key, feed in self._feeds.items():
            feed.load(offsets.get(key, {}))
        self._started = True
        self._store.listen(self._offer)
        for feed in self._feeds.values():
            feed.start()
        self._keeper = asyncio.create_task(self._keep())
        for letter in await self._rows("WHERE replaying = 1"):
            self._redeliver(letter)

    async def stop(self) -> None:
        await asyncio.gather(*(feed.stop(self._grace) for feed in self._feeds.values()))
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._started:
            # Before that the feeds do not know how far they are: they would write down "nowhere".
            await self._flush()

    async def dead_letters(self, *, limit: int = 100) -> list[DeadLetter]:
        return [
            DeadLetter(
                id=row["id"],
                group=row["consumer"],
                topic=row["topic"],
                event_id=row["event_id"],
                reason=told(row["reason"]).text,
                attempts=row["attempts"],
                time=datetime.fromisoformat(row["time"]),
                said=told(row["reason"]),
            )
            for row in await self._rows("WHERE replaying = 0 ORDER BY time DESC LIMIT ?", limit)
        ]

    async def replay(self, dead_letter_id: str) -> None:
        letters = await self._rows("WHERE id = ?", dead_letter_id)
        if not letters:
            raise NotFound("no-dead-letter", "There is no dead letter with that id.")
        if (letters[0]["consumer"], letters[0]["topic"]) not in self._feeds:
            raise NotFound("no-handler", "The part of Anteroom that this event was for does not run here.")

        def operation(transaction: Transaction) -> None:
            transaction.connection.execute(
                "UPDATE dead_letters SET replaying = 1 WHERE id = ?", (dead_letter_id,)
            )

        await self._store.write(operation)
        self._redeliver(letters[0])

    async def read(
        self, *, after: int | None = None, topics: Sequence[str] = (), limit: int = 100
    ) -> list[tuple[int, Event]]:
        # what a newer version wrote before this one was put back is not ours to read
        topics = [topic for topic in topics or TOPICS if topic in TOPICS]
        chosen = f"topic IN ({', '.join('?' * len(topics))})"

        def query(connection: sqlite3.Connection) -> list[Any]:
            if after is None:
                sql = f"SELECT seq, body FROM log WHERE {chosen} ORDER BY seq DESC LIMIT ?"  # noqa: S608
                return connection.execute(sql, (*topics, limit)).fetchall()[::-1]
            sql = f"SELECT seq, body FROM log WHERE {chosen} AND seq > ? ORDER BY seq LIMIT ?"  # noqa: S608
            return connection.execute(sql, (*topics, after, limit)).fetchall()

        return [(seq, decode(body)) for seq, body in await self._store.read(query)]

    async def lag(self) -> dict[tuple[str, str], int]:
        def query(connection: sqlite3.Connection, topic: str, position: int) -> int:
            row = connection.execute(
                "SELECT count(*) FROM log WHERE topic = ? AND seq > ?", (topic, position)
            )
            return int(row.fetchone()[0])

        found = {}
        for (group, topic), feed in self._feeds.items():
            unread = await self._store.read(lambda c, t=topic, f=feed: query(c, t, f.position))  # type: ignore[misc]
            found[group, topic] = feed.pending() + unread
        return found

    def _offer(self, appended: Appended) -> None:
        for feed in self._feeds.values():
            feed.offer(appended)
        for _, event in appended:
            for kind, hear in self._tails:
                if isinstance(event, kind):
                    hear(event)

    async def _fetch(self, topic: str, after: int, limit: int) -> Sequence[tuple[int, Event]]:
        return await self.read(after=after, topics=(topic,), limit=limit)

    async def _bury(self, feed: Feed, event: Event, reason: str, attempts: int) -> None:
        letter = (
            derived_id(feed.group, event.id),
            feed.group,
            event.topic,
            event.id,
            encode(event),
            reason,
            attempts,
            instant_text(self._clock()),
        )

        def operation(transaction: Transaction) -> None:
            transaction.connection.execute(
                "INSERT OR REPLACE INTO dead_letters "
                "(id, consumer, topic, event_id, body, reason, attempts, time) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                letter,
            )

        await self._write_at_last(operation)

    async def _write_at_last(self, operation: Callable[[Transaction], None]) -> None:
        """As soon as the store takes it: what became of an event must not be forgotten."""
        while True:
            try:
                return await self._store.write(operation)
            except TransientError:
                await asyncio.sleep(_AGAIN_S)

    def _redeliver(self, letter: dict[str, Any]) -> None:
        feed = self._feeds.get((letter["consumer"], letter["topic"]))
        if feed is None:
            return
        letter_id = letter["id"]

        async def settled(handled: bool, reason: str) -> None:
            def operation(transaction: Transaction) -> None:
                if handled:
                    transaction.connection.execute("DELETE FROM dead_letters WHERE id = ?", (letter_id,))
                else:
                    transaction.connection.execute(
                        "UPDATE dead_letters SET replaying = 0, reason = ?, attempts = attempts + 1 "
                        "WHERE id = ?",
                        (reason, letter_id),
                    )

            await self._write_at_last(operation)

        try:
            event = decode(letter["body"])
        except (KeyError, ValueError):
            _log.error("a dead letter of %s can't be read; it stays for a version that can", feed.group)
            return
        feed.redeliver(event, settled)

    async def _rows(self, condition: str, *values: Any) -> list[dict[str, Any]]:
        names = ("id", "consumer", "topic", "event_id", "body", "reason", "attempts", "time")

        def query(connection: sqlite3.Connection) -> list[Any]:
            sql = f"SELECT {', '.join(names)} FROM dead_letters {condition}"  # noqa: S608 - fixed in this module
            return connection.execute(sql, values).fetchall()

        return [dict(zip(names, row, strict=True)) for row in await self._store.read(query)]

    async def _keep(self) -> None:
        """Write down how far each group is, and trim the log by age once everybody has read it."""
        since_trim = _TRIM_EVERY
        while True:
            await asyncio.sleep(_FLUSH_EVERY)
            try:
                await self._flush()
                since_trim += _FLUSH_EVERY
                if since_trim >= _TRIM_EVERY:
                    since_trim = 0.0
                    await self._trim()
            except TransientError:
                await asyncio.sleep(5)

    async def _flush(self) -> None:
        rows = [
            (group, topic, partition, seq)
            for (group, topic), feed in self._feeds.items()
            for partition, seq in feed.unflushed()
        ]
        if rows:

            def operation(transaction: Transaction) -> None:
                transaction.connection.executemany("INSERT OR REPLACE INTO offsets VALUES (?, ?, ?, ?)", rows)

            await self._store.write(operation)

    async def _trim(self) -> None:
        for name, topic in TOPICS.items():
            low = [feed.low_water for (_, topic_name), feed in self._feeds.items() if topic_name == name]
            oldest = instant_text(self._clock() - timedelta(days=topic.retention_days))

            def operation(
                transaction: Transaction, values: tuple[Any, ...] = (name, min(low, default=_END), oldest)
            ) -> None:
                transaction.connection.execute(
                    "DELETE FROM log WHERE topic = ? AND seq <= ? AND time < ?", values
                )

            await self._store.write(operation)
