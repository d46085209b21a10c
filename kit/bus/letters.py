"""Dead letters on Kafka: one compacted topic, a record a letter, its newest state last.

A letter that is to be delivered again is written anew with `replaying`; its group, which reads this
topic too, does so and then takes the letter away (a record without content) or puts it back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict

from kit.bus.kafka_log import KafkaLog, Offsets
from kit.bus.port import DeadLetter
from kit.bus.reasons import told
from schemas.catalogue import LETTERS

TOPIC = LETTERS


class Letter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    id: str
    group: str
    topic: str
    event_id: str
    body: str
    """The event as it was published."""
    reason: str
    """As kit.bus.reasons stores it."""
    attempts: int
    time: datetime
    replaying: bool = False

    def shown(self) -> DeadLetter:
        said = told(self.reason)
        return DeadLetter(
            id=self.id,
            group=self.group,
            topic=self.topic,
            event_id=self.event_id,
            reason=said.text,
            attempts=self.attempts,
            time=self.time,
            said=said,
        )


class Letters:
    """The newest state of every letter. `send(key, value)` writes one record, durably."""

    def __init__(
        self, log: KafkaLog, topic: str, send: Callable[[str, bytes | None], Awaitable[None]]
    ) -> None:
        self._log = log
        self._topic = topic
        self._send = send
        self._lock = asyncio.Lock()
        self._read_to: Offsets = {}
        self._known: dict[str, Letter] = {}

    async def write(self, letter: Letter) -> None:
        await self._send(letter.id, letter.model_dump_json().encode())

    async def remove(self, letter_id: str) -> None:
        await self._send(letter_id, None)

    async def all(self) -> dict[str, Letter]:
        """Everything written before this call, by id."""
        async with self._lock:
            ends = await self._log.ends(await self._log.partitions([self._topic]))
            for record in await self._log.read(self._read_to, ends):
                letter_id = record.key.decode()
                letter = read(record)
                if letter is None:
                    self._known.pop(letter_id, None)
                else:
                    self._known[letter_id] = letter
            self._read_to.update(ends)
            return dict(self._known)


def read(record: Any) -> Letter | None:
    """The letter of a record; None for one that was taken away."""
    return None if record.value is None else Letter.model_validate(orjson.loads(record.value))
