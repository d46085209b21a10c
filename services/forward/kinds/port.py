"""What a kind of destination can do. One module a kind; the registry is in the package."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from kit.destinations import Destination
from kit.errors import AnteroomError
from kit.saying import say
from schemas.shapes import Said
from services.forward.rules.contexts import Pair
from services.forward.rules.proof import Filed
from services.forward.settings import ForwardSettings

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Outgoing:
    """One instance ready to go: identity reconciled, in a transfer syntax the destination takes."""

    pack: int
    position: int
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    head: Callable[[], Awaitable[bytes]]
    """Preamble and file meta information (PS3.10 7.1)."""
    size: int
    """Bytes of the data set."""
    dataset: Callable[[], AsyncIterator[Buffer]]
    """Streams the data set's bytes; may be called again for another try."""


@dataclass(frozen=True)
class Answer:
    """`status` as in PS3.4 B.2.3, whatever the protocol."""

    item: Outgoing
    status: int


class Link(Protocol):
    """An open conversation."""

    def syntax_for(self, sop_class: str, stored: str) -> str | None:
        """In which transfer syntax to send; None: the destination does not take this SOP class."""
        ...

    def store(self, items: AsyncIterator[Outgoing]) -> AsyncGenerator[Answer, None]:
        """Send and yield what became of each, in order. Raises TransientError when the
        conversation breaks; what was yielded stays true."""
        ...


@dataclass(frozen=True)
class Wanted:
    """Instances of one study that should be at the destination."""

    study_instance_uid: str
    patient_id: str
    """Under which the destination files the study, as far as is known."""
    series: dict[str, set[str]]
    """SOP Instance UIDs by Series Instance UID."""


Found = dict[str, set[Filed]]
"""SOP Instance UIDs the destination has, and how it files each; an archive may hold several copies."""


@dataclass(frozen=True)
class Reported:
    """A storage commitment result (PS3.4 J.3.3)."""

    transaction_uid: str
    committed: tuple[str, ...]
    failed: tuple[tuple[str, int], ...]


def ca_unreadable(destination: Destination) -> Said:
    return say(
        "ca-unreadable",
        "The certificate authority file of destination %(destination)s can't be read. "
        "Correct the destination's settings, then retry.",
        destination=destination.id,
    )


class NotOffered(AnteroomError):
    """The destination does not offer this service."""


@dataclass(frozen=True)
class Kind:
    groups: Callable[[Sequence[Pair]], list[list[Pair]]]
    """Splits (SOP class, stored syntax) pairs into what fits one conversation."""
    connect: Callable[[Destination, Sequence[Pair], ForwardSettings], AbstractAsyncContextManager[Link]]
    find: Callable[[Destination, Wanted, ForwardSettings], Awaitable[Found]]
    """Which of the wanted instances are there. Raises NotOffered, TransientError."""
    echo: Callable[[Destination, ForwardSettings], Awaitable[None]]
    """Raises TransientError (with one clause on what is wrong) when it is not well."""
    commit: (
        Callable[
            [
                Destination,
                Sequence[tuple[str, Sequence[tuple[str, str]]]],
                ForwardSettings,
                Callable[[], Awaitable[None]],
                Callable[[Reported], Awaitable[None]],
            ],
            Awaitable[None],
        ]
        | None
    )
    """commit(destination, [(transaction UID, [(SOP class, SOP instance)])], settings, before, keep):
    awaits `before` once the destination is known to offer storage commitment, then asks; gives
    reports that come at once to `keep`. Raises NotOffered, TransientError. None: no such service."""
