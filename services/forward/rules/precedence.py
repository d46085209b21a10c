"""Which of several decisions on one study holds.

The newest decision is the whole truth: where the study goes, and under which identity. "Newest" is
by the study's revision, then the match's, then time, so that an event replayed late is no surprise.

- A delivery of an older decision that is queued or sending is cancelled. If the newer decision
  names the same destination and identity, its own delivery starts from the older one's ledger.
- One that is being proved has sent everything. It is proved to its end, unless the newer decision
  sends the same study to the same place under another identity, which makes that proof worthless.
- Instances count as already delivered only while nothing was sent there under another identity since.
"""

from collections.abc import Iterable
from typing import Protocol

from kit.documents.port import instant_text
from kit.ids import derived_id
from schemas.shapes import Decision, Demographics, Order
from services.forward.rules.states import State


def rank(decision: Decision) -> str:
    """Text that orders the decisions on one study."""
    return (
        f"{decision.study_revision:010d}.{decision.match_revision:010d}."
        f"{instant_text(decision.time)}.{decision.id}"
    )


def identity_key(target: Demographics | None, order: Order | None) -> str:
    """The same for two decisions exactly when they put the same values into the headers."""
    if target is None:
        return derived_id("identity")
    return derived_id("identity", target.model_dump_json(), order.model_dump_json() if order else "")


class Sending(Protocol):
    """What these rules need to know of a delivery."""

    id: str
    rank: str
    identity: str
    destination: str
    state: State
    may_have_sent: bool


class Newest(Protocol):
    """The newest decision known for a study."""

    rank: str
    identity: str
    destinations: list[str]


def is_replaced(delivery: Sending, newest: Newest | None) -> bool:
    """Whether the delivery has to stop because of a newer decision."""
    if newest is None or newest.rank <= delivery.rank:
        return False
    if delivery.state in (State.QUEUED, State.SENDING):
        return True
    return (
        delivery.state is State.PROVING
        and delivery.destination in newest.destinations
        and delivery.identity != newest.identity
    )


def in_the_way(delivery: Sending, others: Iterable[Sending]) -> list[str]:
    """Ids of older deliveries to the same place that must have ended before this one may send, so
    that an old identity never lands on top of a new one."""
    return [
        other.id
        for other in others
        if other.destination == delivery.destination
        and other.rank < delivery.rank
        and (
            other.state in (State.QUEUED, State.SENDING)
            or (other.state is State.PROVING and other.identity != delivery.identity)
        )
    ]


def _earlier(delivery: Sending, others: Iterable[Sending]) -> list[Sending]:
    return sorted(
        (
            other
            for other in others
            if other.destination == delivery.destination
            and other.rank < delivery.rank
            and other.may_have_sent
        ),
        key=lambda other: other.rank,
        reverse=True,
    )


def inherits_from(delivery: Sending, others: Iterable[Sending]) -> list[str]:
    """Ids of earlier deliveries whose ledgers still hold for this one, newest first."""
    found = []
    for other in _earlier(delivery, others):
        if other.identity != delivery.identity:
            break
        found.append(other.id)
    return found


def is_replacing(delivery: Sending, others: Iterable[Sending]) -> bool:
    """Whether the destination may hold instances of the study under another identity."""
    return any(other.identity != delivery.identity for other in _earlier(delivery, others))
