"""Ranges and conditions."""

import pytest

from services.view.rules.ranges import Slice, Unsatisfiable, slice_of, unchanged

TAG = '"abc"'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bytes=0-", Slice(0, 100)),
        ("bytes=10-19", Slice(10, 10)),
        ("bytes=90-500", Slice(90, 10)),
        ("bytes=-5", Slice(95, 5)),
        ("bytes=-500", Slice(0, 100)),
        ("bytes=0-1,5-6", None),
        ("bytes=9-3", None),
        ("bytes=-", None),
        ("bytes=x-", None),
        ("items=0-1", None),
        ("", None),
    ],
)
def test_a_range(text: str, found: Slice | None) -> None:
    assert slice_of({"range": text}, 100, TAG) == found


@pytest.mark.parametrize("text", ["bytes=100-", "bytes=500-600", "bytes=-0"])
def test_a_range_outside(text: str) -> None:
    with pytest.raises(Unsatisfiable):
        slice_of({"range": text}, 100, TAG)


def test_a_range_of_what_has_changed_is_everything() -> None:
    assert slice_of({"range": "bytes=0-1", "if-range": '"old"'}, 100, TAG) is None
    assert slice_of({"range": "bytes=0-1", "if-range": TAG}, 100, TAG) == Slice(0, 2)


def test_what_the_caller_has() -> None:
    assert unchanged({"if-none-match": TAG}, TAG)
    assert unchanged({"if-none-match": f'"x", W/{TAG}'}, TAG)
    assert unchanged({"if-none-match": "*"}, TAG)
    assert not unchanged({"if-none-match": '"x"'}, TAG)
    assert not unchanged({}, TAG)
