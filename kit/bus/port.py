"""The bus port: a durable log of events by topic, delivered at least once to every group.

Delivery is serial per (group, topic, partition); a key always falls into the same partition, so
events of one key arrive in order. A handler that raises TransientError is called again after a
backoff of seconds; PermanentError sends the event to the dead letters of that group at once;
any other exception after a few tries. What takes longer than seconds is a task (kit.tasks).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from schemas.envelope import Event
from schemas.shapes import Said

E = TypeVar("E", bound=Event)
Handler = Callable[[E], Awaitable[None]]


@dataclass(frozen=True)
class Subscription:
    """`group` is the consuming service's name, with a suffix where it has several."""

    event: type[Event]
    group: str
    handler: Handler[Event]


@dataclass(frozen=True)
class DeadLetter:
    id: str
    group: str
    topic: str
    event_id: str
    reason: str
    attempts: int
    time: datetime
    said: Said
    """The reason, for readers of any language."""


class Bus(Protocol):
    def subscribe(self, event: type[E], group: str, handler: Handler[E]) -> None:
        """Before start only. A new group begins at the oldest event kept."""
        ...

    def tail(self, event: type[E], hear: Callable[[E], None]) -> None:
        """Before start only. Every process that asks hears every event published from about its start on, at
        most once: no group, nothing remembered, nothing tried again. For news that may be missed. `hear` is
        quick and never raises."""
        ...

    async def publish(self, events: Sequence[Event]) -> None:
        """Durable on return. For doors that have no document of their own to save."""
        ...

    async def start(self) -> None: ...

    async def stop(self) -> None:
        """Finish the handlers under way, then return."""
        ...

    async def dead_letters(self, *, limit: int = 100) -> list[DeadLetter]: ...

    async def replay(self, dead_letter_id: str) -> None:
        """Deliver the event again, to the group it died in alone. Raises NotFound."""
        ...

    async def read(
        self, *, after: int | None = None, topics: Sequence[str] = (), limit: int = 100
    ) -> list[tuple[int, Event]]:
        """Events kept, oldest first, with their positions; `after` None reads the last `limit`."""
        ...

    async def lag(self) -> dict[tuple[str, str], int]:
        """Events not yet handled, by (group, topic)."""
        ...
