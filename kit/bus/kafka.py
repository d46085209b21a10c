"""The bus port on Kafka, through FastStream and aiokafka.

FastStream owns the connections and the loops that poll; what it fetches waits in kit.bus.lanes, where
handlers run. Offsets are committed by hand after handling (its acknowledgement policies commit before,
or on errors too, or seek back in a hot loop).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.exceptions import FastStreamException
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.schemas import Topic

from kit import acts
from kit.bus.client_logs import calm
from kit.bus.kafka_kept import warn_of_topics
from kit.bus.kafka_log import KafkaLog
from kit.bus.kafka_settings import LARGEST, LARGEST_RECORD, KafkaSettings, connection, ensure_topics, security
from kit.bus.kafka_words import why
from kit.bus.lanes import Lanes
from kit.bus.letters import TOPIC as LETTERS
from kit.bus.letters import Letter, Letters
from kit.bus.letters import read as read_letter
from kit.bus.partitions import choose
from kit.bus.port import DeadLetter, E, Handler
from kit.bus.reasons import stored
from kit.bus.tail import Tail
from kit.bus.tries import handle
from kit.clock import Clock
from kit.errors import NotFound, PermanentError, TransientError, Unavailable
from kit.ids import derived_id
from kit.saying import say
from schemas.catalogue import TOPICS
from schemas.envelope import Event
from schemas.shapes import Said
from schemas.wire import decode, encode

_log = logging.getLogger(__name__)
_client_log = logging.getLogger(f"{__name__}.client")
# FastStream warns at every start that it does not make topics, which is not its task here.
_client_log.setLevel(logging.ERROR)

_PUBLISH_S = 15.0
_STOP_S = 20.0
_UNREADABLE_S = 5.0
_AGAIN_S = 1.0
POSITION = "position"
_TROUBLE = (KafkaError, FastStreamException, OSError, TimeoutError)


class KafkaBus:
    """`topics` are those this process may publish or read; the catalogue's by default."""

    def __init__(
        self,
        settings: KafkaSettings,
        clock: Clock,
        *,
        grace: float = 10.0,
        topics: Sequence[str] = tuple(TOPICS),
    ) -> None:
        calm()
        self._settings = settings
        self._clock = clock
        self._grace = grace
        self._topics = tuple(topics)
        self._handlers: dict[tuple[str, str], Handler[Any]] = {}
        self._lanes: dict[str, Lanes] = {}
        self._tail = Tail(connection(settings), settings.prefix)
        self._log = KafkaLog(connection(settings))
        self._letters = Letters(self._log, settings.prefix + LETTERS, self._send_letter)
        self._producer: KafkaBroker | None = None
        self._consumers: KafkaBroker | None = None
        self._connecting = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()
        self._away_until = 0.0
        self._last_position = 0
        self._stopping = False

    def subscribe(self, event: type[E], group: str, handler: Handler[E]) -> None:
        key = (group, event.topic)
        if key in self._handlers:
            raise ValueError(f"{group} already has a handler for {event.topic}")
        self._handlers[key] = handler

    def tail(self, event: type[E], hear: Callable[[E], None]) -> None:
        self._tail.hear(event.topic, hear)

    async def publish(self, events: Sequence[Event]) -> None:
        """Durable on return, in the order given. Raises Unavailable; then some may be published."""
        records = [(event.topic, event.key, encode(event), event.correlation_id) for event in events]
        if any(len(content) > LARGEST for _, _, content, _ in records):
            raise PermanentError("an event is too large for the bus")
        await self._send(records)
        acts.emitted(events)

    async def start(self) -> None:
        """Raises Unavailable when Kafka is away: try again."""
        await self._connected()
        consumers = self._broker(consumer_only=True)
        groups = sorted({group for group, _ in self._handlers})
        self._lanes = {group: self._join(consumers, group) for group in groups}
        try:
            await consumers.start()
        except _TROUBLE as error:
            await asyncio.gather(*(lanes.close(0) for lanes in self._lanes.values()))
            await consumers.stop()
            raise Unavailable("Kafka", why(error)) from error
        self._consumers = consumers
        await self._tail.start()
        await warn_of_topics(self._settings, self._topics)

    async def stop(self) -> None:
        self._stopping = True
        await self._tail.stop()
        await asyncio.gather(*(lanes.close(self._grace) for lanes in self._lanes.values()))
        ending = [_end(broker) for broker in (self._consumers, self._producer) if broker is not None]
        self._consumers = self._producer = None
        done, late = await asyncio.wait(
            {*map(asyncio.ensure_future, ending), *self._ending, asyncio.ensure_future(self._log.close())},
            timeout=_STOP_S,
        )
        for task in late:
            task.cancel()
        for outcome in await asyncio.gather(*done, *late, return_exceptions=True):
            if isinstance(outcome, Exception):
                _log.info("a connection to Kafka did not end in order: %s", type(outcome).__name__)

    async def trouble(self) -> Said | None:
        """What keeps events from flowing through this process; None when they do."""
        try:
            await self._log.partitions([self._settings.prefix + LETTERS])
        except TransientError as error:
            return error.said
        waiting = [group for group, lanes in self._lanes.items() if not lanes.assigned]
        form = "no partitions are assigned yet to %(groups)s"
        return say("no-partitions", form, groups=", ".join(waiting)) if waiting else None

    async def dead_letters(self, *, limit: int = 100) -> list[DeadLetter]:
        known = [letter for letter in (await self._letters.all()).values() if not letter.replaying]
        known.sort(key=lambda letter: letter.time, reverse=True)
        return [letter.shown() for letter in known[:limit]]

    async def replay(self, dead_letter_id: str) -> None:
        letter = (await self._letters.all()).get(dead_letter_id)
        if letter is None:
            raise NotFound("no-dead-letter", "There is no dead letter with that id.")
        await self._letters.write(letter.model_copy(update={"replaying": True}))

    async def read(
        self, *, after: int | None = None, topics: Sequence[str] = (), limit: int = 100
    ) -> list[tuple[int, Event]]:
        """Positions are the microseconds of publication: there is no order over all of Kafka but time.

        While the clocks of publishing processes differ, a reader that goes on from its last position may
        pass over an event published in that difference. Nothing that must see every event reads so.
        """
        names = [self._settings.prefix + topic for topic in topics or self._topics]
        partitions = await self._log.partitions(names)
        begins, ends = await self._log.begins(partitions), await self._log.ends(partitions)
        window = await self._log.window(after, limit, begins, ends, now=self._clock())
        found = [
            (position, decode(record.value))
            for record in await self._log.read(*window)
            if (position := _position(record)) > (after or 0)
        ]
        found.sort(key=lambda entry: entry[0])
        return found[-limit:] if after is None else found[:limit]

    async def lag(self) -> dict[tuple[str, str], int]:
        """Of every group that ever committed on this Kafka, ours or a downstream reader's."""
        prefix = self._settings.prefix
        ours = {prefix + topic: topic for topic in self._topics}
        partitions = await self._log.partitions(ours)
        begins, ends = await self._log.begins(partitions), await self._log.ends(partitions)
        wanted = {(prefix + group, prefix + topic) for group, topic in self._handlers}
        found: dict[tuple[str, str], int] = {}
        groups = {group for group in await self._log.groups() if group.startswith(prefix)}
        for group in sorted(groups | {group for group, _ in wanted}):
            name = group.removeprefix(prefix)
            offsets = await self._log.committed(group)
            if name in self._lanes:
                offsets |= self._lanes[name].done()
            topics = {p.topic for p in offsets} | {topic for owner, topic in wanted if owner == group}
            for partition in partitions:
                if partition.topic in topics:
                    key = (name, ours[partition.topic])
                    behind = ends[partition] - max(offsets.get(partition, 0), begins[partition])
                    found[key] = found.get(key, 0) + max(0, behind)
        return found

    def _join(self, consumers: KafkaBroker, group: str) -> Lanes:
        """One consumer for all topics of the group, and for the letters it may be given again."""
        topics = [topic for owner, topic in self._handlers if owner == group]
        subscriber: Any = None

        async def work(record: Any) -> bool:
            return await self._work(group, record)

        lanes = Lanes(group, work)

        async def parse(record: Any) -> KafkaMessage:
            return KafkaMessage(body=b"", raw_message=record, consumer=subscriber.consumer)

        async def take(message: KafkaMessage) -> None:
            lanes.attach(message.consumer)
            await lanes.take(message.raw_message)

        subscriber = consumers.subscriber(
            *(Topic(self._settings.prefix + name, declare=False) for name in (*topics, LETTERS)),
            group_id=self._settings.prefix + group,
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            auto_offset_reset="earliest",
            listener=lanes,
            parser=parse,
            decoder=_whole,
            session_timeout_ms=20_000,
            heartbeat_interval_ms=2_000,
            rebalance_timeout_ms=30_000,
        )
        subscriber(take)
        return lanes

    async def _work(self, group: str, record: Any) -> bool:
        if record.topic == self._settings.prefix + LETTERS:
            return await self._redeliver(group, record)
        topic = record.topic.removeprefix(self._settings.prefix)
        while True:
            try:
                event = decode(record.value)
                break
            except Exception:  # noqa: BLE001 - the edge: it must not be passed over, nor end the partition
                # An event of a newer version, perhaps: the lag grows, and this line repeats.
                _log.exception("%s can't read an event of %s", group, topic)
                if self._stopping:
                    return False
                await asyncio.sleep(_UNREADABLE_S)
        reason, attempts = await handle(self._handlers[group, topic], event, group, self._is_stopping)
        if reason is None:
            return True
        letter = Letter(
            id=derived_id(group, event.id),
            group=group,
            topic=topic,
            event_id=event.id,
            body=record.value.decode(),
            reason=reason,
            attempts=attempts,
            time=self._clock(),
        )
        return await self._settle(letter)

    async def _redeliver(self, group: str, record: Any) -> bool:
        """A letter that is to be delivered again, when it is this group's."""
        try:
            letter = read_letter(record)
        except ValueError:
            _log.warning("%s passes over a dead letter that can't be read", group)
            return True
        if letter is None or letter.group != group or not letter.replaying:
            return True
        reason = await self._again(letter)
        if reason is None:
            return await self._settle(letter, gone=True)
        changes = {"replaying": False, "reason": reason, "attempts": letter.attempts + 1}
        return await self._settle(letter.model_copy(update=changes))

    async def _again(self, letter: Letter) -> str | None:
        """Handle the letter's event; returns why it remains a dead letter, as kit.bus.reasons stores it."""
        handler = self._handlers.get((letter.group, letter.topic))
        if handler is None:
            form = "%(group)s no longer handles %(topic)s"
            return stored(say("letter-no-handler", form, group=letter.group, topic=letter.topic))
        try:
            event = decode(letter.body)
        except (ValueError, KeyError):
            return stored(say("letter-unreadable", "the event can't be read by this version"))
        reason, _ = await handle(handler, event, letter.group, self._is_stopping)
        return reason

    async def _settle(self, letter: Letter, *, gone: bool = False) -> bool:
        """Write the letter down, or take it away, before its event counts as handled."""
        while not self._stopping:
            try:
                await (self._letters.remove(letter.id) if gone else self._letters.write(letter))
                return True
            except TransientError:
                await asyncio.sleep(_AGAIN_S)
        return False

    def _is_stopping(self) -> bool:
        return self._stopping

    async def _send_letter(self, key: str, value: bytes | None) -> None:
        await self._send([(LETTERS, key, value, "")])

    async def _send(self, records: Sequence[tuple[str, str, bytes | None, str]]) -> None:
        broker = await self._connected()
        try:
            async with asyncio.timeout(_PUBLISH_S):
                waiting = []
                for topic, key, value, correlation_id in records:
                    position = self._next_position()
                    waiting.append(
                        await broker.publish(
                            value,
                            self._settings.prefix + topic,
                            key=key.encode(),
                            timestamp_ms=position // 1000,
                            headers={POSITION: str(position)},
                            correlation_id=correlation_id,
                            no_confirm=True,
                        )
                    )
                outcomes = await asyncio.gather(*waiting, return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
        except _TROUBLE as error:
            self._drop(broker)
            raise Unavailable("Kafka", why(error)) from error

    async def _connected(self) -> KafkaBroker:
        """The producing side, with all topics there. Raises Unavailable, at once for a while after a failure:
        what waits for the bus is written down and relayed, and nobody should wait for it meanwhile."""
        async with self._connecting:
            if self._producer is None:
                loop = asyncio.get_running_loop()
                if loop.time() < self._away_until:
                    raise Unavailable("Kafka", "it was away a moment ago")
                broker = self._broker()
                try:
                    await ensure_topics(self._settings, self._topics)
                    await broker.connect()
                except (*_TROUBLE, Unavailable) as error:
                    await broker.stop()
                    self._away_until = loop.time() + _AGAIN_S
                    if isinstance(error, Unavailable):
                        raise
                    raise Unavailable("Kafka", why(error)) from error
                self._producer = broker
            return self._producer

    def _drop(self, broker: KafkaBroker) -> None:
        """A producer that failed may never work again: the next event gets a new one."""
        if self._producer is broker:
            self._producer = None
            ending = asyncio.create_task(_end(broker))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    def _broker(self, *, consumer_only: bool = False) -> KafkaBroker:
        return KafkaBroker(
            self._settings.servers.split(","),
            client_id="anteroom",
            request_timeout_ms=15_000,
            consumer_only=consumer_only,
            allow_auto_create_topics=False,
            acks="all",
            enable_idempotence=True,
            max_request_size=LARGEST_RECORD,
            compression_type=None,
            partitioner=choose,
            security=security(self._settings),
            graceful_timeout=self._grace,
            apply_types=False,
            logger=_client_log,
            log_level=logging.DEBUG,
        )

    def _next_position(self) -> int:
        now = int(self._clock().timestamp() * 1_000_000)
        self._last_position = max(self._last_position + 1, now)
        return self._last_position


async def _end(broker: KafkaBroker) -> None:
    """Close its connections. Without Kafka this takes until what it still holds has expired."""
    try:
        await broker.stop()
    except _TROUBLE as error:
        _log.info("a connection to Kafka did not end in order: %s", type(error).__name__)


async def _whole(message: KafkaMessage) -> KafkaMessage:
    return message


def _position(record: Any) -> int:
    return int(dict(record.headers).get(POSITION, record.timestamp * 1000))
