"""Acts: what is being done right now, and which act of sending it goes back to.

The edges at which work begins (an HTTP request, an event, a task, a message at a door) each run it as one
act. Logs, measurements and traces take from here what they say of it; nothing else hands it on. Names are
routes, topics and collections, ids are our own: no field of an act ever holds PHI.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Literal, Protocol, Self

from kit.ids import random_id
from schemas.envelope import Event

Kind = Literal["request", "event", "task", "message", "send"]
Detail = str | int | bool

_current: "ContextVar[Act | None]" = ContextVar("act", default=None)


class Act:
    """One piece of work, from its beginning until it is left. Use it as a context manager.

    Without a `correlation_id` it has one of its own until it is known what it goes back to: see `follow`.
    `cause` is the id of the event that led to it, where one did. `inside`: it is a part of the present act.
    """

    def __init__(
        self,
        kind: Kind,
        service: str,
        name: str,
        *,
        correlation_id: str = "",
        cause: str = "",
        inside: bool = False,
    ) -> None:
        self.kind = kind
        self.service = service
        self.name = name
        self.cause = cause
        self.inside: Act | None = _current.get() if inside else None
        around = self.inside
        self.own: bool = not correlation_id and (around is None or around.own)
        """Its correlation id is its own: nothing it goes back to is known."""
        self.correlation_id: str = correlation_id or (around.correlation_id if around else random_id())
        self.span_id = secrets.randbits(64) or 1
        self.details: dict[str, Detail] = {}
        self.outcome: Literal["ok", "refused", "failed", "void"] = "ok"
        """`void`: there was nothing to do after all, and nothing is told of it."""
        self.error = ""
        """The kind of an error, never its text."""
        self.look: Callable[[Act], None] | None = None
        """Sets what was not known at the beginning (a request's route); called before anything is told."""
        self.began_ns = time.time_ns()
        self.took_s = 0.0
        self._started = time.perf_counter()
        self._told: set[str] = set()
        self._before: Act | None = None

    def enter(self) -> None:
        self._before = _current.get()
        _current.set(self)

    def leave(self) -> None:
        """Not the present one any more; not over either."""
        _current.set(self._before)

    def end(self) -> None:
        """Over: watchers are told, within the act."""
        self.took_s = time.perf_counter() - self._started
        if self.outcome != "void":
            self.seen()
            self._tell(lambda watcher: watcher.ended(self))

    def _tell(self, told: "Callable[[Watcher], None]") -> None:
        token = _current.set(self)
        for watcher in _watchers:
            told(watcher)
        _current.reset(token)

    def seen(self) -> Self:
        if self.look is not None:
            self.look(self)
        return self

    def failed(self, error: BaseException) -> None:
        self.outcome, self.error = "failed", type(error).__name__

    def follow(self, correlation_id: str, cause: str = "") -> None:
        """It is known now what this act, and those around it, go back to. The first word counts."""
        self.cause = self.cause or cause
        act: Act | None = self
        while act is not None and act.own and correlation_id:
            act.correlation_id, act.own = correlation_id, False
            act = act.inside

    def emits(self, events: Sequence[Event]) -> None:
        """These are durable now; each is told once."""
        if self.own and events:
            self.follow(events[0].correlation_id)
        for event in events:
            if event.id not in self._told:
                self._told.add(event.id)
                self._tell(lambda watcher, event=event: watcher.emitted(self, event))  # type: ignore[misc]

    def __enter__(self) -> Self:
        self.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
        if error is not None and not isinstance(error, asyncio.CancelledError):
            self.failed(error)
        self.end()


class Watcher(Protocol):
    """Is told of every act of this process. Must not block, raise or wait."""

    def ended(self, act: Act) -> None: ...

    def emitted(self, act: Act, event: Event) -> None: ...


_watchers: list[Watcher] = []


def watch(watcher: Watcher) -> None:
    _watchers.append(watcher)


def unwatch(watcher: Watcher) -> None:
    _watchers.remove(watcher)


def current() -> Act | None:
    act = _current.get()
    return None if act is None else act.seen()


def follow(correlation_id: str) -> None:
    """The present act goes back to this; nothing happens outside any act."""
    act = _current.get()
    if act is not None:
        act.follow(correlation_id)


def emitted(events: Sequence[Event]) -> None:
    """Called by what makes events durable."""
    act = _current.get()
    if act is not None:
        act.emits(events)


Marks = tuple[Kind, str, str, str]


def marks() -> Marks | None:
    """What a helper process must know of the present act."""
    act = current()
    return None if act is None else (act.kind, act.service, act.name, act.correlation_id)


@contextmanager
def resumed(known: Marks | None) -> Iterator[None]:
    """In a helper process: its lines say the same as those of the process that asked."""
    if known is None:
        yield
        return
    kind, service, name, correlation_id = known
    act = Act(kind, service, name, correlation_id=correlation_id)
    act.enter()
    try:
        yield
    finally:
        act.leave()


def service_of(module: str) -> str:
    """The service that a module of this project belongs to."""
    parts = module.split(".")
    return parts[1] if parts[0] == "services" and len(parts) > 1 else parts[-1]
