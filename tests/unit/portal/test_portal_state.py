"""The state of a case depends on facts, never on the order in which they arrive."""

import itertools
import random
from datetime import timedelta

import pytest

from schemas.shapes import DecidedBy, Decision
from services.portal.models import Case, Outcome, Settled, Verdict
from services.portal.rules.search import words
from services.portal.rules.state import (
    CHANGED,
    NEW_IMAGES,
    State,
    refresh,
    seen,
    state_of,
    take_match,
    take_outcome,
    take_settled,
    take_study,
    take_verdict,
)
from tests.unit.portal.samples import FOREIGN, LOCAL, NOW, SENDER, case, match, study


def decided(action: str = "approve", revision: int = 1, destinations: tuple[str, ...] = ("pacs",)) -> Verdict:
    decision = Decision(
        id=f"d-{action}-{revision}",
        action=action,
        study_id="s1",
        study_revision=revision,
        match_revision=1,
        by=DecidedBy(kind="person", id="a", name="Ada"),
        time=NOW,
        reason="because",
        target=LOCAL,
        destinations=destinations,
    )
    return Verdict(decision=decision, seen=seen(study(revision)))


def outcome(state: str, minute: int, destination: str = "pacs", decision: str = "d-approve-1") -> Outcome:
    return Outcome(
        delivery_id=f"{decision}-{destination}",
        decision_id=decision,
        destination=destination,
        state=state,
        time=NOW + timedelta(minutes=minute),
        instances=10,
        reason="refused" if state == "failed" else "",
    )


def test_a_new_case_waits_for_matching():
    made = Case(id="s1")
    take_study(made, study(), "sub1")
    assert state_of(made) == (State.ARRIVED, "")


@pytest.mark.parametrize(("certain", "state"), [(True, State.REVIEW), (False, State.UNMATCHED)])
def test_match_decides_between_review_and_unmatched(certain, state):
    assert case(matched=match(certain=certain)).state == state


@pytest.mark.parametrize(
    ("action", "state"),
    [("approve", State.APPROVED), ("decline", State.DECLINED), ("ask-sender", State.ASKED)],
)
def test_decisions(action, state):
    made = case()
    take_verdict(made, decided(action))
    refresh(made)
    assert made.state == state


def test_in_pacs_only_when_every_destination_has_proved_it():
    made = case()
    take_verdict(made, decided(destinations=("pacs", "archive")))
    take_outcome(made, outcome("proven", 1))
    assert state_of(made)[0] == State.APPROVED
    take_outcome(made, outcome("failed", 2, "archive"))
    assert state_of(made) == (State.FAILED, "refused")
    take_outcome(made, outcome("proven", 3, "archive"))
    assert state_of(made) == (State.IN_PACS, "")


def test_a_proof_is_final_whatever_arrives_after_it():
    for order in itertools.permutations([outcome("failed", 1), outcome("proven", 2), outcome("failed", 1)]):
        made = case()
        take_verdict(made, decided())
        for item in order:
            take_outcome(made, item)
        assert state_of(made)[0] == State.IN_PACS


def test_outcomes_of_an_earlier_decision_do_not_count():
    made = case()
    take_verdict(made, decided())
    take_outcome(made, outcome("proven", 1))
    take_study(made, study(2, 12), "sub1")
    take_verdict(made, decided(revision=2))
    assert state_of(made)[0] == State.APPROVED


@pytest.mark.parametrize("action", ["approve", "decline", "ask-sender"])
def test_late_images_need_a_new_decision(action):
    made = case()
    take_verdict(made, decided(action))
    take_study(made, study(2, 12), "sub1")
    assert state_of(made) == (State.REVIEW, NEW_IMAGES)


def test_a_late_doubt_needs_a_new_decision_too():
    made = case()
    take_verdict(made, decided())
    take_study(made, study(2, 10, needs_person=True), "sub1")
    assert state_of(made) == (State.REVIEW, CHANGED)


def test_images_sent_once_more_change_nothing():
    made = case()
    take_verdict(made, decided())
    take_outcome(made, outcome("proven", 1))
    take_study(made, study(2, 10, submissions=("sub1", "sub2")), "sub2")
    assert state_of(made) == (State.IN_PACS, "")


def test_any_order_and_any_repetition_gives_the_same_case():
    steps = [
        lambda c: take_study(c, study(1), "sub1"),
        lambda c: take_study(c, study(2, 20), "sub1"),
        lambda c: take_study(c, study(3, 30), "sub1"),
        lambda c: take_match(c, match(1, 1, certain=False), NOW),
        lambda c: take_match(c, match(2, 3), NOW),
        lambda c: take_settled(c, "sub1", Settled(revision=1, sender=SENDER, waiting=3), NOW),
        lambda c: take_settled(c, "sub1", Settled(revision=2, sender=SENDER, waiting=0), NOW),
        lambda c: take_outcome(c, outcome("failed", 1)),
        lambda c: take_outcome(c, outcome("proven", 2)),
    ]
    dice = random.Random(7)
    results = set()
    for _ in range(200):
        order = steps * 2
        dice.shuffle(order)
        made = Case(id="s1")
        for step in order:
            step(made)
        refresh(made)
        results.add(made.model_dump_json(exclude={"timeline", "correlation_id"}))
    assert len(results) == 1


def test_search_words_ignore_case_accents_and_signs():
    assert words("Müller^Jörg") == ["muller", "jorg"]
    assert words("1.2.840.113619.2") == ["1.2.840.113619.2"]
    assert words(" 2.25.15467684 ") == ["2.25.15467684"], "made of a UUID (PS3.5 B.2)"
    assert words("12.03.1970") == ["12", "03", "1970"]
    assert words("ACC-9") == ["acc", "9"]
    tokens = case().tokens
    for asked, finds in (("mul JÖRG", True), ("f-77", True), ("1.2.3.4.5", True), ("mul hans", False)):
        assert all(any(token.startswith(word) for token in tokens) for word in words(asked)) is finds
    assert FOREIGN.name not in tokens
