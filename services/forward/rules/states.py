"""The life of a delivery.

    queued ── planned ──► sending ── all-sent ──► proving ── shown ──► proven
      ▲                     ▲  │                    │  │
      │                     └──┼───── missing ──────┘  │
      │                  refused, given-up      still-missing, unprovable, given-up
      │                        ▼                       ▼
      └────── retried ──────  failed  ◄────────────────┘

A newer decision may replace a delivery that is queued, sending or proving: it ends cancelled.
"""

from enum import StrEnum


class State(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    PROVING = "proving"
    PROVEN = "proven"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Happening(StrEnum):
    PLANNED = "planned"
    ALL_SENT = "all-sent"
    REFUSED = "refused"
    MISSING = "missing"
    SHOWN = "shown"
    STILL_MISSING = "still-missing"
    UNPROVABLE = "unprovable"
    GIVEN_UP = "given-up"
    REPLACED = "replaced"
    RETRIED = "retried"


UNFINISHED = (State.QUEUED, State.SENDING, State.PROVING)

_TABLE: dict[tuple[State, Happening], State] = {
    (State.QUEUED, Happening.PLANNED): State.SENDING,
    (State.SENDING, Happening.ALL_SENT): State.PROVING,
    (State.SENDING, Happening.REFUSED): State.FAILED,
    (State.PROVING, Happening.SHOWN): State.PROVEN,
    (State.PROVING, Happening.MISSING): State.SENDING,
    (State.PROVING, Happening.STILL_MISSING): State.FAILED,
    (State.PROVING, Happening.UNPROVABLE): State.FAILED,
    (State.FAILED, Happening.RETRIED): State.QUEUED,
    **{(state, Happening.GIVEN_UP): State.FAILED for state in UNFINISHED},
    **{(state, Happening.REPLACED): State.CANCELLED for state in UNFINISHED},
}


class ImpossibleStep(ValueError):
    """A defect: this can't happen to a delivery in that state."""


def advance(state: State, happening: Happening) -> State:
    """The state after `happening`. Raises ImpossibleStep."""
    try:
        return _TABLE[state, happening]
    except KeyError:
        raise ImpossibleStep(f"a delivery that is {state} can't be {happening}") from None
