"""Why an event became a dead letter, in the one field that logs have for it."""

import pickle

import pytest

from kit.bus.reasons import LONGEST, stored, told
from kit.errors import Contended, NotYet, TransientError
from kit.saying import say
from schemas.shapes import Said


def test_code_and_values_come_back() -> None:
    clause = say("silent", "it was silent for %(seconds)s s", seconds=10)
    whole = say("neighbour", "%(neighbour)s: %(because)s", clause, neighbour="pacs")
    assert told(stored(whole)) == whole


def test_what_has_no_code_is_text_as_it_always_was() -> None:
    assert stored(Said(text="the reason")) == "the reason"
    assert told("the reason") == Said(text="the reason")


def test_what_does_not_fit_is_text_cut() -> None:
    long = say("letter-defect", "internal error (%(kind)s)", kind="x" * 2000)
    assert told(stored(long)) == Said(text=long.text[:LONGEST])


@pytest.mark.parametrize("text", ['{"code":', '{"code":1}', '{"code":"a"}', "{}", ""])
def test_text_that_only_looks_like_it_stays_text(text: str) -> None:
    assert told(text) == Said(text=text)


@pytest.mark.parametrize("made", [Contended("a case"), NotYet("the study")])
def test_they_survive_the_way_from_a_helper(made: TransientError) -> None:
    again = pickle.loads(pickle.dumps(made))
    assert (type(again), again.said, str(again)) == (type(made), made.said, made.said.text)
