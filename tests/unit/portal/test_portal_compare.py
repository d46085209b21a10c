from datetime import timedelta

import pytest

from schemas.shapes import Demographics, Finding, Order, SeriesSummary
from services.portal.models import Stage
from services.portal.rules.compare import changes, likelihood, pairs, people
from services.portal.rules.state import main_modality
from services.portal.rules.way import way
from services.portal.rules.worklist import (
    TABS,
    age_bounds,
    is_overdue,
    series_shown,
    state_chip,
    tab_conditions,
)
from tests.unit.portal.samples import FOREIGN, LOCAL, NOW, case, match, study


def test_pairs_tell_writing_from_difference():
    found = {pair.key: pair.verdict for pair in pairs(FOREIGN, LOCAL)}
    assert found == {"Name": "off", "Born": "same", "Sex": "same", "ID": "off", "Issuer": "off"}
    written = pairs(Demographics(name="MÜLLER^Jörg"), Demographics(name="Muller^JORG", sex="M"))
    assert [(p.key, p.verdict) for p in written] == [("Name", "close"), ("Sex", "missing")]


def test_changes_are_what_reconciliation_writes():
    found = changes(study(), LOCAL, Order(accession_number="A1"))
    assert [(c.key, c.before, c.after) for c in found] == [
        ("Name", "Müller^Jörg", "Mueller^Joerg"),
        ("ID", "F-77", "4711"),
        ("Issuer", "CLINIC", "HOSPITAL"),
        ("Order", "ACC-9", "A1"),
    ]
    assert changes(study(), None, None) == []


def test_people_come_once_each_the_chosen_first():
    assert [[row.patient_key for row in rows] for rows in people(match())] == [["p1"], ["p2"]]
    assert people(None) == []


@pytest.mark.parametrize(
    ("score", "words"), [(1, "Almost certain"), (0.95, "Very likely"), (0.7, "Possible"), (0.1, "Unlikely")]
)
def test_scores_in_words(score: float, words: str):
    assert likelihood(score) == words


def test_the_way_has_one_place_to_wait_at():
    steps = way(case())
    assert [s.state for s in steps] == ["done", "done", "done", "now", "", ""]
    assert steps[3].stage == "approved"
    seen = case()
    seen.timeline.append(Stage(key="opened", stage="opened", time=NOW))
    assert way(seen)[-1].state == "done"


def test_chips_say_nothing_of_patients_to_outsiders():
    unmatched = case(matched=match(certain=False))
    assert (state_chip(unmatched, staff=True).text, state_chip(unmatched, staff=True).count) == (
        "possible patients",
        2,
    )
    assert state_chip(unmatched, staff=False).text == "In review"
    unmatched.state = "failed"
    assert state_chip(unmatched, staff=False).text == "On its way"


def test_overdue_is_what_waits_for_a_person_too_long():
    day = timedelta(hours=24)
    assert not is_overdue(case(), NOW + timedelta(hours=23), day)
    assert is_overdue(case(), NOW + timedelta(hours=25), day)
    low, high = age_bounds("overdue", NOW, day)
    assert (low, high) == (None, NOW - day)


def test_every_tab_has_conditions_that_the_index_knows():
    for tab in TABS:
        assert set(tab_conditions(tab)) <= {"state", "open", "flagged"}


def test_a_finding_that_needs_eyes_flags_the_case():
    bad = Finding(code="infected", severity="error", action="quarantined", text="x")
    assert case(study(findings=(bad,))).flagged
    assert not case().flagged
    assert case().open


def test_modalities_that_make_pictures_come_first():
    assert main_modality(("SR", "CT")) == "CT"
    assert main_modality(("SR",)) == "SR"
    assert main_modality(()) == ""
    many = tuple(SeriesSummary(series_instance_uid=f"1.{n}", modality="CT", instances=n) for n in range(5))
    assert series_shown(case(study(series=many))) == ["1.4", "1.3", "1.2"]
