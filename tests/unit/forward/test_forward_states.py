"""Every state against every happening: the table is the picture in states.py."""

import itertools

import pytest

from services.forward.rules.states import UNFINISHED, Happening, ImpossibleStep, State, advance

EXPECTED = {
    (State.QUEUED, Happening.PLANNED): State.SENDING,
    (State.SENDING, Happening.ALL_SENT): State.PROVING,
    (State.SENDING, Happening.REFUSED): State.FAILED,
    (State.PROVING, Happening.SHOWN): State.PROVEN,
    (State.PROVING, Happening.MISSING): State.SENDING,
    (State.PROVING, Happening.STILL_MISSING): State.FAILED,
    (State.PROVING, Happening.UNPROVABLE): State.FAILED,
    (State.FAILED, Happening.RETRIED): State.QUEUED,
    (State.QUEUED, Happening.GIVEN_UP): State.FAILED,
    (State.SENDING, Happening.GIVEN_UP): State.FAILED,
    (State.PROVING, Happening.GIVEN_UP): State.FAILED,
    (State.QUEUED, Happening.REPLACED): State.CANCELLED,
    (State.SENDING, Happening.REPLACED): State.CANCELLED,
    (State.PROVING, Happening.REPLACED): State.CANCELLED,
}


@pytest.mark.parametrize(("state", "happening"), list(itertools.product(State, Happening)))
def test_every_pair_is_a_known_step_or_impossible(state: State, happening: Happening) -> None:
    expected = EXPECTED.get((state, happening))
    if expected is None:
        with pytest.raises(ImpossibleStep):
            advance(state, happening)
    else:
        assert advance(state, happening) is expected


def test_proven_is_reached_from_proving_alone() -> None:
    assert [pair for pair, state in EXPECTED.items() if state is State.PROVEN] == [
        (State.PROVING, Happening.SHOWN)
    ]


def test_every_unfinished_state_has_a_way_to_each_end() -> None:
    for state in UNFINISHED:
        reached = {state}
        while True:
            more = {
                after
                for (before, happening), after in EXPECTED.items()
                if before in reached and happening is not Happening.RETRIED
            }
            if more <= reached:
                break
            reached |= more
        assert {State.PROVEN, State.FAILED, State.CANCELLED} <= reached
