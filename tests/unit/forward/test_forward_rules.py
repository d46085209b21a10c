"""Statuses, contexts, precedence, proof."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from schemas.shapes import DecidedBy, Decision, Demographics, Order
from services.forward.rules import contexts, precedence, proof, statuses
from services.forward.rules.contexts import EXPLICIT_LE, IMPLICIT_LE
from services.forward.rules.proof import Filed
from services.forward.rules.states import State
from services.forward.rules.statuses import Outcome

CT = "1.2.840.10008.5.1.4.1.1.2"
J2K = "1.2.840.10008.1.2.4.90"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0x0000, Outcome.KEPT),
        (0xB000, Outcome.KEPT_WITH_NOTE),
        (0xB006, Outcome.KEPT_WITH_NOTE),
        (0xB007, Outcome.KEPT_WITH_NOTE),
        (0x0107, Outcome.KEPT_WITH_NOTE),
        (0x0111, Outcome.KEPT_WITH_NOTE),
        (0xA700, Outcome.BUSY),
        (0xA7FF, Outcome.BUSY),
        (0xA900, Outcome.FAILED),
        (0xC000, Outcome.FAILED),
        (0xC122, Outcome.FAILED),
        (0x0110, Outcome.FAILED),
        (0x0122, Outcome.FAILED),
        (0x0124, Outcome.FAILED),
        (0xFF00, Outcome.FAILED),
        (0xFE00, Outcome.FAILED),
    ],
)
def test_what_a_status_means(status: int, expected: Outcome) -> None:
    assert statuses.outcome(status) is expected


def test_a_duplicate_is_no_delivery_when_the_identity_changed() -> None:
    assert statuses.outcome(0x0111, replacing=True) is Outcome.FAILED


@pytest.mark.parametrize("status", [0xB000, 0xB123, 0xA700, 0xA901, 0xC123, 0x0110, 0x0999, 0xFFF0])
def test_every_status_has_words(status: int) -> None:
    assert statuses.words(status).text[0].isupper()


def test_each_stored_syntax_is_offered_alone_and_plain_ones_follow() -> None:
    assert contexts.offers([(CT, J2K), (CT, J2K)]) == [
        [(CT, (J2K,)), (CT, (EXPLICIT_LE,)), (CT, (IMPLICIT_LE,))]
    ]
    assert contexts.offers([(CT, IMPLICIT_LE)]) == [[(CT, (IMPLICIT_LE,)), (CT, (EXPLICIT_LE,))]]


def test_no_association_has_more_than_128_contexts_and_none_is_lost() -> None:
    pairs = [(f"1.2.3.{number}", J2K) for number in range(100)]
    associations = contexts.offers(pairs)
    assert len(associations) == 3
    assert all(len(association) <= 128 for association in associations)
    offered = {offer for association in associations for offer in association}
    assert {(sop_class, (syntax,)) for sop_class, syntax in pairs} <= offered


def test_the_stored_syntax_goes_before_plain_ones() -> None:
    assert contexts.syntax_to_send(J2K, {EXPLICIT_LE, J2K}) == J2K
    assert contexts.syntax_to_send(J2K, {IMPLICIT_LE}) == IMPLICIT_LE
    assert contexts.syntax_to_send(J2K, set()) is None


NOW = datetime(2026, 1, 2, tzinfo=UTC)


def decision(revision: int = 1, match: int = 1, minutes: int = 0) -> Decision:
    return Decision(
        id=f"d{revision}{match}{minutes}",
        action="approve",
        study_id="s",
        study_revision=revision,
        match_revision=match,
        by=DecidedBy(kind="person", id="p", name="P"),
        time=NOW + timedelta(minutes=minutes),
    )


def test_newest_is_by_study_then_match_then_time() -> None:
    in_order = [decision(1, 1, 9), decision(1, 2, 0), decision(2, 1, 0), decision(2, 1, 1), decision(10)]
    ranks = [precedence.rank(one) for one in in_order]
    assert ranks == sorted(ranks)


def test_identity_is_target_and_order_and_nothing_else() -> None:
    a = Demographics(patient_id="1", name="A^B")
    assert precedence.identity_key(a, None) == precedence.identity_key(a.model_copy(), None)
    assert precedence.identity_key(a, None) != precedence.identity_key(None, None)
    assert precedence.identity_key(a, None) != precedence.identity_key(a, Order(accession_number="7"))
    # Without a target nothing is written at all.
    assert precedence.identity_key(None, None) == precedence.identity_key(None, Order(accession_number="7"))


@dataclass
class Fake:
    id: str
    rank: str
    identity: str = "x"
    destination: str = "pacs"
    state: State = State.PROVEN
    may_have_sent: bool = True
    destinations: list[str] = field(default_factory=lambda: ["pacs"])


@pytest.mark.parametrize(
    ("state", "newest", "expected"),
    [
        (State.QUEUED, None, False),
        (State.SENDING, Fake("n", "1"), False),
        (State.QUEUED, Fake("n", "2"), True),
        (State.SENDING, Fake("n", "2"), True),
        (State.SENDING, Fake("n", "2", destinations=[]), True),
        (State.PROVING, Fake("n", "2"), False),
        (State.PROVING, Fake("n", "2", identity="y"), True),
        (State.PROVING, Fake("n", "2", identity="y", destinations=["other"]), False),
        (State.PROVING, Fake("n", "2", destinations=[]), False),
        (State.PROVEN, Fake("n", "2", identity="y"), False),
        (State.FAILED, Fake("n", "2"), False),
    ],
)
def test_what_a_newer_decision_replaces(state: State, newest: Fake | None, expected: bool) -> None:
    assert precedence.is_replaced(Fake("d", "1", state=state), newest) is expected


def test_only_older_work_under_way_to_the_same_place_is_in_the_way() -> None:
    others = [
        Fake("sending", "1", state=State.SENDING),
        Fake("proving-same", "1", state=State.PROVING),
        Fake("proving-other", "1", state=State.PROVING, identity="y"),
        Fake("elsewhere", "1", state=State.SENDING, destination="b"),
        Fake("newer", "3", state=State.SENDING),
        Fake("done", "1"),
    ]
    assert precedence.in_the_way(Fake("d", "2"), others) == ["sending", "proving-other"]


def test_ledgers_hold_until_something_else_was_sent() -> None:
    mine = Fake("d", "5")
    history = [
        Fake("a", "1"),
        Fake("b", "2", identity="y"),
        Fake("c", "3", state=State.FAILED),
        Fake("unsent", "4", identity="z", may_have_sent=False),
    ]
    assert precedence.inherits_from(mine, history) == ["c"]
    assert precedence.is_replacing(mine, history)
    assert not precedence.is_replacing(mine, [history[0], history[3]])


def test_transaction_uids_are_valid_and_repeatable() -> None:
    uid = proof.transaction_uid("d", 0, 1, 2)
    assert uid == proof.transaction_uid("d", 0, 1, 2) != proof.transaction_uid("d", 0, 1, 3)
    assert uid.startswith("2.25.")
    assert len(uid) <= 64
    assert uid[5] != "0"


def test_reports_count_for_own_instances_alone() -> None:
    verdict = proof.by_reports(
        {"1", "2", "3", "4"}, [(["1", "foreign"], {"2": 0x0112, "3": 0x0122, "strange": 0x0112})]
    )
    assert verdict.proven == {"1"}
    assert verdict.lost == {"2"}  # 3 can't be committed, which does not say that it is lost; 4 is open


def test_one_report_that_denies_outweighs_one_that_commits() -> None:
    verdict = proof.by_reports({"1"}, [(["1"], {}), ([], {"1": 0x0112})])
    assert not verdict.proven
    assert verdict.lost == {"1"}


def test_a_query_tells_present_elsewhere_absent_and_twice() -> None:
    found = {
        "1": {Filed("P ", "A")},
        "2": {Filed("Q")},
        "4": {Filed("P"), Filed("Q")},
        "5": {Filed("P", "B")},
        "6": {Filed()},
        "9": {Filed("P")},
    }
    looked = proof.by_query({"1", "2", "3", "4", "5", "6"}, found, Filed("P", "A"))
    assert looked.present == {"1", "4", "6"}
    assert looked.elsewhere == {"2", "5"}
    assert looked.absent == {"3"}
    assert looked.twice == {"4"}
    assert proof.by_query({"2"}, found, Filed()).present == {"2"}
