"""Which rows of an open inbox are kept current, and when it lacks some."""

import pytest

from services.portal.rules.worklist import is_missing, read_marks


@pytest.mark.parametrize(
    ("first", "shown", "more", "missing"),
    [
        ([], [], False, False),
        (["a"], [], False, True),
        (["a", "b"], ["b", "a"], False, False),
        (["a", "b"], ["a"], False, True),
        (["a", "b", "c"], ["a"], True, False),
        (["n", "a", "b"], ["a"], True, True),
        (["a", "n", "b"], ["a", "b"], True, True),
        (["n", "m"], ["a", "b"], True, True),
        ([], ["a"], True, False),
    ],
)
def test_a_page_lacks_what_belongs_above_its_last_row(
    first: list[str], shown: list[str], more: bool, missing: bool
):
    assert is_missing(first, shown, more=more) is missing


def test_marks_are_read_in_order_and_cut():
    assert read_marks(" b:1.0 a:2.0.late  c", 2) == {"b": "1.0", "a": "2.0.late"}
    assert read_marks("a", 9) == {"a": ""}
