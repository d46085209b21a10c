"""Ranges of ordinals behave as the sets they stand for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import Refused
from services.upload import ordinals

numbers = st.sets(st.integers(0, 60), max_size=40)


@given(numbers)
def test_text_and_back(some: set[int]):
    ranges = ordinals.of_numbers(some)
    assert set(ordinals.numbers(ranges)) == some
    assert ordinals.size(ranges) == len(some)
    if some:
        assert ordinals.parse(ordinals.render(ranges)) == ranges


@given(numbers, numbers)
def test_union_and_overlap(left: set[int], right: set[int]):
    one, two = ordinals.of_numbers(left), ordinals.of_numbers(right)
    assert set(ordinals.numbers(ordinals.merged([*one, *two]))) == left | right
    assert ordinals.overlap(one, two) == bool(left & right)


@given(numbers)
def test_what_is_missing(some: set[int]):
    missing = ordinals.missing(ordinals.of_numbers(some), 61)
    assert set(ordinals.numbers(missing)) == set(range(61)) - some


def test_order_and_overlaps_are_forgiven():
    assert ordinals.parse(" 7, 3-5 ,4-6") == [(3, 7)]


@pytest.mark.parametrize("text", ["", "1,", "-1", "1-", "x", "2-1", "1.5", "٣", "1" * 10, "1," * 60_000])
def test_nonsense_is_refused(text: str):
    with pytest.raises(Refused):
        ordinals.parse(text)
