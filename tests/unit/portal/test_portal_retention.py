"""Since when nobody needs the images of a study here: only what is proved, or was turned down."""

from datetime import timedelta
from typing import Any

import pytest

from kit.errors import Refused
from schemas.shapes import DecidedBy, Decision, Finding, PackRef, Proof, Study
from services.portal.models import Case, Gone, Outcome, Settled, Verdict
from services.portal.rules import retention
from services.portal.rules.decide import Request, decide
from services.portal.rules.state import (
    CHANGED,
    NEW_IMAGES,
    refresh,
    seen,
    sent_in,
    take_outcome,
    take_removed,
    take_settled,
    take_study,
    take_verdict,
)
from tests.unit.portal.samples import LOCAL, NOW, SENDER
from tests.unit.portal.samples import case as arrived
from tests.unit.portal.samples import study as plain

PACK = PackRef(
    id="p1", batch_id="b1", submission_id="sub1", key="studies/s1/p1.dcm", index_key="studies/s1/p1.idx",
    instances=10, bytes=5000, sha256="0",
)  # fmt: skip


def study(revision: int = 1, instances: int = 10, **fields: Any) -> Study:
    return plain(revision, instances, **{"packs": (PACK,), **fields})


def decided(action: str, destinations: tuple[str, ...] = ("pacs",), **of: Any) -> Case:
    case = arrived(study(**of))
    decision = Decision(
        id="d1", action=action, study_id="s1", study_revision=1, match_revision=1, time=NOW,
        by=DecidedBy(kind="person", id="a", name="Ada"), target=LOCAL,
        destinations=destinations if action == "approve" else (),
    )  # fmt: skip
    take_verdict(case, Verdict(decision=decision, seen=seen(study(**of))))
    refresh(case)
    return case


def forwarded(
    case: Case, destination: str = "pacs", minute: int = 5, *, proven: int | None = 10, state: str = "proven"
) -> Case:
    time = NOW + timedelta(minutes=minute)
    proof = Proof(kind="storage-commitment", time=time, instances=proven) if proven is not None else None
    outcome = Outcome(
        delivery_id=f"d1-{destination}", decision_id="d1", destination=destination, state=state,  # type: ignore[arg-type]
        time=time, instances=10, proof=proof,
    )  # fmt: skip
    take_outcome(case, outcome)
    refresh(case)
    return case


def test_proved_at_every_destination():
    case = decided("approve", ("pacs", "vna"))
    assert case.spare_since is None
    assert forwarded(case, "pacs", 5).spare_since is None
    assert forwarded(case, "vna", 9).spare_since == NOW + timedelta(minutes=9)
    assert case.bytes == 5000


def test_declined_counts_from_the_decision():
    assert decided("decline").spare_since == NOW


@pytest.mark.parametrize("proven", [None, 9])
def test_what_was_not_proved_whole_stays(proven: int | None):
    assert forwarded(decided("approve"), proven=proven).spare_since is None


def test_what_a_destination_files_under_another_identity_stays():
    case = decided("approve")
    case.outcomes = [forwarded(decided("approve")).outcomes[0]]
    refresh(case)
    assert case.spare_since is not None
    [outcome] = case.outcomes
    assert outcome.proof is not None
    other = outcome.proof.model_copy(update={"other_identity": True})
    case.outcomes = [outcome.model_copy(update={"proof": other})]
    refresh(case)
    assert (case.state, case.spare_since) == ("in-pacs", None)


@pytest.mark.parametrize(
    ("hours", "is_leap", "is_believed"),
    [
        (0, False, True),
        (3, False, True),
        (4, False, False),
        (24, False, False),
        (25, True, False),
        (-25, True, False),
    ],
)
def test_a_clock_is_believed_that_went_on_as_a_clock_does(hours: int, is_leap: bool, is_believed: bool):
    now = NOW + timedelta(hours=hours)
    assert retention.leapt(NOW, now) is is_leap
    assert retention.believed(NOW, now) is is_believed


def test_nothing_is_known_before_the_first_look():
    assert not retention.leapt(None, NOW)
    assert not retention.believed(None, NOW)


def test_looks_all_through_the_notice_are_needed():
    assert [retention.looks_needed(hours) for hours in (1, 2, 48, 72)] == [1, 1, 24, 36]


def test_asked_failed_or_undecided_stays():
    assert arrived(study()).spare_since is None
    assert decided("ask-sender").spare_since is None
    assert forwarded(decided("approve"), proven=None, state="failed").spare_since is None


def test_images_put_aside_are_nowhere_else():
    conflict = Finding(code="same-uid-other-content", severity="error", action="quarantined", text="x")
    assert forwarded(decided("approve", findings=(conflict,))).spare_since is None


def test_images_put_aside_after_it_was_declined_keep_it_and_need_another_decision():
    known = Finding(code="same-uid-other-content", severity="error", action="quarantined", text="x")
    case = decided("decline", findings=(known,), needs_person=True)
    assert (case.state, case.spare_since) == ("declined", None)
    more = known.model_copy(update={"count": 2})
    take_study(case, study(2, findings=(more,), needs_person=True), "sub2")
    refresh(case)
    assert (case.state, case.why, case.spare_since) == ("review", CHANGED, None)


def test_the_same_images_once_more_begin_the_count_anew():
    for case in (decided("decline"), forwarded(decided("approve"))):
        state, later = case.state, NOW + timedelta(days=29)
        waiting = Settled(revision=1, sender=SENDER, waiting=1, time=later)
        take_settled(case, "sub2", waiting, later)
        refresh(case)
        assert case.spare_since is None
        take_settled(case, "sub2", waiting.model_copy(update={"revision": 2, "waiting": 0}), later)
        refresh(case)
        assert (case.state, case.spare_since) == (state, later)
        assert sent_in(case) == ("sub1", "sub2")


def test_another_submission_ends_the_leaving_of_a_case_and_a_known_one_does_not():
    case = decided("decline")
    case.leaving = NOW
    take_settled(case, "sub1", Settled(revision=7, sender=SENDER, waiting=0), NOW)
    assert case.leaving == NOW
    take_settled(case, "sub2", Settled(revision=1, sender=SENDER, waiting=0), NOW)
    assert case.leaving is None


def test_a_submission_under_way_keeps_it():
    case = forwarded(decided("approve"))
    take_settled(case, "sub1", Settled(revision=2, sender=SENDER, waiting=3), NOW)
    refresh(case)
    assert case.spare_since is None


def test_new_images_and_a_person_keep_it():
    case = forwarded(decided("approve"))
    take_study(case, study(2, 12), "sub1")
    refresh(case)
    assert case.spare_since is None
    case = forwarded(decided("approve"))
    case.kept = True
    refresh(case)
    assert case.spare_since is None


def test_the_policy_says_after_how_many_days():
    case = forwarded(decided("approve"))
    days: dict[retention.Rule, int | None] = {"in-pacs": 30, "declined": None}
    assert retention.rule_for(case, days, NOW + timedelta(days=30)) is None
    assert retention.rule_for(case, days, NOW + timedelta(days=30, minutes=6)) == "in-pacs"
    assert retention.rule_for(decided("decline"), days, NOW + timedelta(days=900)) is None
    assert retention.rule_for(None, days, NOW) is None


def test_gone_images_keep_their_history_and_are_decided_anew_when_they_come_again():
    case = forwarded(decided("approve"))
    assert take_removed(case, 2, Gone(time=NOW, rule="in-pacs", bytes=5000))
    refresh(case)
    assert (case.state, case.spare_since, case.bytes) == ("in-pacs", None, 0)
    assert case.study is not None
    assert case.study.instances == 10
    assert not take_removed(case, 2, Gone(time=NOW, rule="in-pacs", bytes=5000))
    with pytest.raises(Refused, match="removed here"):
        request = Request(action="approve", study_revision=2, match_revision=1, target="as-sent")
        decide(
            case, case.study, request, by=DecidedBy(kind="person", id="a", name="Ada"), now=NOW,
            preferred=[], known=["pacs"],
        )  # fmt: skip
    take_study(case, study(3, 10, generation=2), "sub9")
    refresh(case)
    assert case.gone is None
    assert (case.state, case.why) == ("review", NEW_IMAGES), "the same number of images, but not the same"


def test_a_removal_that_comes_after_newer_images_changes_nothing():
    case = forwarded(decided("approve"))
    take_study(case, study(3, 4, generation=2), "sub9")
    assert not take_removed(case, 2, Gone(time=NOW, rule="in-pacs", bytes=1))


@pytest.mark.parametrize(("days", "hours"), [(0, 72), (40_000, 72), (30, 0), (30, 2000)])
def test_senseless_policies_are_refused(days: int, hours: int):
    with pytest.raises(Refused):
        retention.check([days, None], hours)
