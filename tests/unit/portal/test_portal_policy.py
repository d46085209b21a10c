"""What a policy may approve by itself."""

import pytest

from schemas.shapes import DecidedBy, Sender
from services.portal.models import Settled, Verdict
from services.portal.rules.policy import policy_decision
from services.portal.rules.state import refresh, seen, take_match, take_settled, take_study, take_verdict
from tests.unit.portal.samples import LOCAL, NOW, SENDER, account, case, match, study

DICOM = Sender(id="clinic", name="Clinic", origin="clinic", door="dicom")


def ask(made, *accounts, known=("pacs",)):
    return policy_decision(made, {a.id: a for a in accounts or (account(),)}, known, NOW)


def test_a_certain_match_of_a_trusted_sender_is_approved():
    decision = ask(case())
    assert decision.by.kind == "policy"
    assert (decision.target, decision.destinations) == (LOCAL, ("pacs",))
    assert decision.id == ask(case()).id


@pytest.mark.parametrize(
    "made",
    [
        case(study(needs_person=True)),
        case(matched=match(certain=False)),
        case(matched=match(study_revision=2)),
        case(study(2), match(study_revision=1)),
        case(settled=False),
        case(study(submissions=("sub1", "sub2"))),
        case(study(sender=DICOM)),
        case(sender=DICOM),
        case(sender=Sender(id="stranger", name="S", origin="clinic")),
    ],
    ids=[
        "needs a person",
        "no match",
        "match ahead",
        "match behind",
        "not settled",
        "half settled",
        "AE title alone",
        "a batch by AE title alone",
        "a batch by a stranger",
    ],
)
def test_a_person_must_look(made):
    assert ask(made) is None


@pytest.mark.parametrize(
    "fields", [{"policy": "review"}, {"disabled": True}, {"destinations": ["gone"]}, {"id": "another"}]
)
def test_the_account_must_allow_it(fields):
    assert ask(case(), account(**fields)) is None


def test_no_destination_no_approval():
    assert ask(case(), known=()) is None
    assert ask(case(), account(destinations=[]), known=("a", "b")).destinations == ("a", "b")


def test_dicom_with_an_address_list_is_trusted():
    assert ask(case(study(sender=DICOM), sender=DICOM), account(addresses=["10.0.0.0/8"])) is not None


def test_a_door_of_a_newer_version_is_trusted_by_nobody():
    unknown = SENDER.model_copy(update={"door": "fax"})
    assert ask(case(study(sender=unknown), sender=unknown), account(addresses=["10.0.0.0/8"])) is None


def test_waiting_files_keep_it_open():
    made = case(settled=False)
    take_settled(made, "sub1", Settled(revision=1, sender=SENDER, waiting=1), NOW)
    assert ask(made) is None
    take_settled(made, "sub1", Settled(revision=2, sender=SENDER, waiting=0), NOW)
    assert ask(made) is not None


def approved(made, decision):
    take_verdict(made, Verdict(decision=decision, seen=seen(made.study)))
    refresh(made)


def test_late_images_follow_the_same_identity_alone():
    made = case()
    approved(made, ask(made))
    assert ask(made) is None, "nothing new"
    take_study(made, study(2, 12), "sub1")
    take_match(made, match(2, 2), NOW)
    assert ask(made) is not None
    other = made.verdicts[-1].decision.model_copy(update={"target": None})
    made.verdicts = [Verdict(decision=other, seen=made.verdicts[-1].seen)]
    assert ask(made) is None


def test_a_policy_never_overrides_a_person():
    made = case()
    turned_down = ask(made).model_copy(
        update={"action": "decline", "by": DecidedBy(kind="person", id="a", name="Ada")}
    )
    approved(made, turned_down)
    take_study(made, study(2, 12), "sub1")
    take_match(made, match(2, 2), NOW)
    assert ask(made) is None
