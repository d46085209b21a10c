"""What a decision may say."""

import pytest

from kit.errors import Refused
from schemas.shapes import DecidedBy, Demographics, Order
from services.portal.models import Case, Verdict
from services.portal.rules.decide import Request, StaleView, decide, digest
from services.portal.rules.policy import might_approve
from services.portal.rules.state import NEW_IMAGES, State, refresh, seen, take_match, take_study, take_verdict
from tests.unit.portal.samples import LOCAL, NOW, ORDER, OTHER, case, match, study

ADA = DecidedBy(kind="person", id="ada", name="Ada")
BOB = DecidedBy(kind="person", id="bob", name="Bob")


def ask(case: Case, by: DecidedBy = ADA, preferred=("pacs",), known=("archive", "pacs"), **fields):
    request = Request(**{"action": "approve", "study_revision": 1, "match_revision": 1, **fields})
    decision = decide(case, case.study, request, by=by, now=NOW, preferred=preferred, known=known)
    if decision is not None:
        take_verdict(case, Verdict(decision=decision, seen=seen(case.study), request=digest(request, by)))
        refresh(case)
    return decision


def test_the_match_brings_its_patient_and_order():
    decision = ask(case(), target="match")
    assert (decision.target, decision.order, decision.destinations) == (LOCAL, ORDER, ("pacs",))


def test_candidate_orders_and_typed_identities():
    assert ask(case(), target={"patient_key": "p2"}).target == OTHER
    assert ask(case(), target={"patient_key": "p1"}, order="none").order is None
    assert ask(case(), target={"patient_key": "p1"}, order="o1").order == ORDER
    assert ask(case(), target="as-sent").target is None
    typed = {"patient_id": "1", "name": "A^B", "birth_date": "20000229", "sex": "F"}
    assert ask(case(), target={"patient": typed}).target == Demographics(**typed)
    mine = {"accession_number": "X"}
    assert ask(case(), target={"patient": typed}, order=mine).order == Order(accession_number="X")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "no-target"),
        ({"target": {"patient_key": "p9"}}, "unknown-candidate"),
        ({"target": {"patient_key": "p2"}, "order": "o1"}, "unknown-order"),
        ({"target": "as-sent", "order": "o1"}, "unknown-order"),
        ({"target": "match", "destinations": ["moon"]}, "unknown-destination"),
        ({"target": "match", "known": ()}, "no-destination"),
        ({"target": "match", "preferred": ("gone",), "known": ("pacs",)}, "no-destination"),
        ({"action": "ask-sender"}, "no-reason"),
        ({"target": {"patient": {"patient_id": "1"}}}, "bad-patient"),
        ({"target": {"patient": {"patient_id": "1\\2", "name": "A"}}}, "bad-patient"),
        ({"target": {"patient": {"patient_id": "1", "name": "A", "birth_date": "20010229"}}}, "bad-patient"),
        ({"target": {"patient": {"patient_id": "1", "name": "A", "sex": "X"}}}, "bad-patient"),
        ({"target": {"patient": {"patient_id": "1" * 65, "name": "A"}}}, "bad-patient"),
        ({"target": "match", "order": {"accession_number": "A1\\B2"}}, "bad-order"),
        ({"target": "as-sent", "order": {"accession_number": "1" * 65}}, "bad-order"),
        ({"target": "match", "order": {"scheduled_step_id": "a\nb"}}, "bad-order"),
        ({"target": "match", "order": {"study_instance_uid": "1.2.x"}}, "bad-order"),
    ],
)
def test_refusals(fields, code):
    with pytest.raises(Refused) as caught:
        ask(case(), **fields)
    assert caught.value.code == code


def test_match_needs_a_match():
    with pytest.raises(Refused) as caught:
        ask(case(matched=match(certain=False)), target="match")
    assert caught.value.code == "no-match"


def test_a_decision_on_an_old_view_is_refused_and_told_the_current_one():
    made = case()
    take_study(made, study(2, 12), "sub1")
    with pytest.raises(StaleView) as caught:
        ask(made, target="match")
    assert (caught.value.study_revision, caught.value.match_revision) == (2, 1)
    take_match(made, match(2, 2), NOW)
    with pytest.raises(StaleView, match="match changed"):
        ask(made, study_revision=2, target="match")
    assert ask(made, study_revision=2, match_revision=2, target="match") is not None


def test_a_match_made_before_the_newest_images_can_not_be_approved():
    made = case()
    take_study(made, study(2, 12), "sub1")
    with pytest.raises(StaleView):
        ask(made, study_revision=2, target="match")
    assert ask(made, study_revision=2, target={"patient_key": "p1"}) is not None


def test_the_same_decision_twice_is_one():
    made = case()
    assert ask(made, target="match") is not None
    assert ask(made, target="match") is None
    assert ask(made, by=BOB, target="match", destinations=["pacs"]) is None
    assert len(made.verdicts) == 1


def test_a_repeated_request_is_recognised_even_after_the_view_moved_on():
    made = case()
    ask(made, target="match")
    take_study(made, study(2, 12), "sub1")
    assert ask(made, target="match") is None


def test_an_approved_study_may_get_another_patient_but_not_be_turned_down():
    made = case()
    first = ask(made, target="match")
    second = ask(made, target={"patient_key": "p2"})
    assert second is not None
    assert first.id != second.id
    with pytest.raises(Refused) as caught:
        ask(made, action="decline")
    assert caught.value.code == "already-approved"


def test_declined_may_be_approved_later_and_late_images_may_be_declined():
    made = case()
    ask(made, action="decline", reason="not ours")
    assert ask(made, target="match") is not None
    take_study(made, study(2, 12), "sub1")
    refresh(made)
    assert (made.state, made.why) == (State.REVIEW, NEW_IMAGES)
    assert ask(made, action="decline", study_revision=2, reason="enough") is not None
    assert made.state == State.DECLINED


def test_a_record_with_a_sign_that_images_cannot_carry_needs_a_person() -> None:
    odd = LOCAL.model_copy(update={"patient_id": "A\\B"})
    found = match()
    chosen = found.chosen.model_copy(update={"patient": odd})
    waiting = case()
    waiting.match = found.model_copy(update={"chosen": chosen, "candidates": (chosen,)})
    with pytest.raises(Refused, match="backslash"):
        ask(waiting, target="match")
    assert not might_approve(waiting)
