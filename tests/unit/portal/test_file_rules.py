"""Since when documents and files put aside may go, whatever order events came in."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from schemas.shapes import Tally
from services.portal.models import Case, Gone
from services.portal.rules import files
from services.portal.tracking.models import FilesGone, StudyLeft, Track
from tests.unit.portal.samples import NOW, study
from tests.unit.portal.test_portal_tracking import track as plain

LATER = NOW + timedelta(days=3)
LEFT = StudyLeft(revision=4, time=LATER)


def track(**fields: Any) -> Track:
    tally = Tally(sent=3, stored=1, document=1, quarantined=1)
    found = plain(**{"tally": tally, "studies": ["s1"], **fields})
    files.refresh(found)
    return found


def both(found: Track) -> list[Any]:
    return [found.documents_since, found.quarantine_since]


def test_they_count_from_when_the_last_study_left():
    found = track(studies=["s1", "s2"])
    assert both(found) == [None, None]
    assert files.take_left(found, "s1", LEFT)
    assert both(found) == [None, None]
    assert files.take_left(found, "s2", StudyLeft(revision=2, time=NOW))
    assert both(found) == [LATER, LATER]


def test_without_a_study_they_count_from_when_every_file_had_its_state():
    found = track(studies=[])
    assert both(found) == [found.validated_at, found.validated_at]


@pytest.mark.parametrize(
    "fields",
    [{"closed_at": None}, {"validated_at": None}, {"tally": Tally(sent=2, document=1, waiting=1)}],
)
def test_what_is_not_settled_stays(fields: dict[str, Any]):
    assert both(track(studies=[], **fields)) == [None, None]


@pytest.mark.parametrize(
    "fields",
    [
        {"kept": ["documents"]},
        {"leaving": {"documents": NOW}},
        {"gone": {"documents": FilesGone(time=NOW, files=1, bytes=1)}},
        {"tally": Tally(sent=1, quarantined=1)},
    ],
)
def test_each_kind_is_on_its_own(fields: dict[str, Any]):
    found = track(studies=[], **fields)
    assert both(found) == [None, found.validated_at]


def test_a_removal_told_again_or_late_counts_once():
    found = track(left={"s1": LEFT})
    assert not files.take_left(found, "s1", LEFT)
    assert not files.take_left(found, "s1", StudyLeft(revision=2, time=NOW))
    assert found.left["s1"] == LEFT


def test_any_order_gives_the_same():
    gone = FilesGone(time=LATER, files=1, bytes=10)
    steps = [
        lambda t: files.take_left(t, "s1", StudyLeft(revision=2, time=NOW)),
        lambda t: files.take_left(t, "s1", LEFT),
        lambda t: files.take_cleared(t, "documents", gone),
        lambda t: files.take_cleared(t, "documents", gone),
    ]
    ends = []
    for order in permutations(steps):
        found = track(leaving={"documents": NOW})
        for step in order:
            step(found)
        ends.append((both(found), found.gone, found.leaving, found.left))
    assert all(end == ends[0] for end in ends)
    assert ends[0][0] == [None, LATER]


def test_days_are_whole_and_off_until_set():
    found = track(studies=[])
    assert found.documents_since is not None
    day = found.documents_since + timedelta(days=30)
    assert not files.rule_allows(found, "documents", None, day + timedelta(days=9000))
    assert not files.rule_allows(found, "documents", 30, day)
    assert files.rule_allows(found, "documents", 30, day + timedelta(seconds=1))
    assert not files.rule_allows(None, "documents", 30, day)


def case(revision: int, *, gone: bool) -> Case:
    removed = Gone(time=LATER, rule="declined", bytes=1) if gone else None
    return Case(id="s1", study=study(revision), gone=removed)


def test_the_studies_themselves_are_asked():
    found = track(left={"s1": LEFT})
    assert files.revisions(found, {"s1": case(4, gone=True)}) == {"s1": 4}
    assert files.revisions(found, {"s1": case(5, gone=False)}) is None
    assert files.revisions(found, {}) is None
    assert files.came_back(found, [case(5, gone=False)]) == {"s1": 5}
    assert files.came_back(found, [case(3, gone=False)]) == {}, "it has not heard of the removal yet"
    assert files.came_back(found, [case(4, gone=True)]) == {}
    assert files.left(None) is None


def test_only_what_was_known_before_the_images_came_back_is_taken_back():
    found = track(left={"s1": StudyLeft(revision=7, time=LATER)}, leaving={"documents": LATER})
    assert not files.take_back(found, {"s1": 6, "s2": 9})
    assert (set(found.left), set(found.leaving)) == ({"s1"}, {"documents"})
    assert files.take_back(found, {"s1": 8})
    assert (found.left, found.leaving, both(found)) == ({}, {}, [None, None])


def test_what_was_let_go_before_the_study_left_once_more_is_not():
    found = track(left={"s1": LEFT}, leaving={"documents": LATER})
    assert files.take_left(found, "s1", StudyLeft(revision=6, time=LATER + timedelta(days=1)))
    assert found.leaving == {}
    assert both(found) == [LATER + timedelta(days=1)] * 2


def test_what_was_let_go_is_waited_for_a_day_and_an_hour_unless_the_policy_is_off():
    found = track(leaving={"documents": NOW})
    day, hour = timedelta(days=1), timedelta(hours=1)
    assert not files.not_removed(found, "documents", None, NOW + day)
    assert files.not_removed(found, "documents", None, NOW + day + timedelta(seconds=1))
    assert not files.not_removed(found, "documents", 30, NOW + day + hour)
    assert files.not_removed(found, "documents", 30, NOW + day + hour + timedelta(seconds=1))
    assert not files.not_removed(found, "quarantine", None, NOW + 9 * day)


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({"left": {"s1": LEFT}}, True),
        ({}, False),
        ({"left": {"s1": LEFT}, "leaving": {"documents": NOW}}, False),
        ({"kept": ["documents", "quarantine"]}, True),
        ({"tally": Tally(sent=1, stored=1)}, True),
    ],
)
def test_what_counts_needs_no_second_look(fields: dict[str, Any], counts: bool):
    assert files.counts(track(**fields)) is counts
