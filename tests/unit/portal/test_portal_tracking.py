"""The way of a submission as its sender sees it."""

from datetime import timedelta

from schemas.shapes import Tally
from services.portal.models import Case
from services.portal.rules.state import State
from services.portal.tracking.models import Track
from services.portal.tracking.stages import Way, way_of
from tests.unit.portal.samples import NOW, SENDER, study


def track(**fields: object) -> Track:
    content = {
        "id": "sub1",
        "sender_id": SENDER.id,
        "sender": SENDER,
        "opened_at": NOW,
        "closed_at": NOW + timedelta(minutes=1),
        "validated_at": NOW + timedelta(minutes=2),
        "revision": 1,
        "tally": Tally(sent=10, stored=10),
    }
    return Track.model_validate({**content, **fields})


def case(state: State, why: str = "") -> Case:
    return Case(id="s1", state=state.value, why=why, arrived_at=NOW, study=study())


def marks(way: Way) -> dict[str, str]:
    return {step.name: step.mark for step in way.steps}


def test_while_it_is_being_sent() -> None:
    way = way_of(track(closed_at=None, validated_at=None, tally=Tally()), [], None)
    assert marks(way)["Sent"] == "now"
    assert way.word == "Sending"
    assert [advice.go_on for advice in way.advice] == [True]
    assert not way.settled


def test_in_review_everything_before_is_done() -> None:
    way = way_of(track(), [case(State.REVIEW)], None)
    assert [marks(way)[name] for name in ("Sent", "Safe", "Viewable")] == ["done"] * 3
    assert marks(way)["In PACS"] == ""
    assert way.title == "Your images are being reviewed"


def test_a_question_is_told_in_the_words_of_the_hospital() -> None:
    way = way_of(track(), [case(State.ASKED, "Is series 3 missing?"), case(State.REVIEW)], None)
    assert marks(way)["Approved"] == "stop"
    assert [(advice.quote, advice.go_on) for advice in way.advice] == [("Is series 3 missing?", True)]


def test_declined_is_the_end() -> None:
    way = way_of(track(), [case(State.DECLINED, "Not our patient.")], None)
    assert way.settled
    assert way.tone == "stop"
    assert marks(way)["Matched"] == "", "nobody looks whose it is any more"


def test_in_the_archive_and_seen() -> None:
    way = way_of(track(), [case(State.IN_PACS)], NOW)
    assert marks(way)["In PACS"] == "done"
    assert marks(way)["Seen"] == "done"
    assert way.word == "In PACS"


def test_a_failed_delivery_frightens_nobody() -> None:
    way = way_of(track(), [case(State.FAILED, "pacs: connection refused by 10.0.0.5")], None)
    assert all("10.0.0.5" not in advice.text + advice.quote for advice in way.advice)
    assert way.advice[0].tone == "wait"


def test_documents_alone_have_arrived() -> None:
    way = way_of(track(tally=Tally(sent=1, document=1)), [], None)
    assert way.title == "Your documents have arrived"
    assert way_of(track(tally=Tally(sent=1, refused=1)), [], None).tone == "stop"


def test_files_put_aside_and_a_sending_given_up_are_said() -> None:
    aside = track(tally=Tally(sent=10, stored=9, quarantined=1), close_reason="expired")
    way = way_of(aside, [case(State.REVIEW)], None)
    assert {advice.title for advice in way.advice} == {
        "Sending was not finished.",
        "Some files were put aside.",
    }
