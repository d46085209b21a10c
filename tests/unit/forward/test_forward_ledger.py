"""Bitmaps and what is booked in them."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.shapes import PackRef
from services.forward import ledger as books
from services.forward.ledger import Ledger
from services.forward.planning import new_ledger


def pack(instances: int, skipped: tuple[int, ...] = ()) -> PackRef:
    return PackRef(
        id="p",
        batch_id="b",
        submission_id="s",
        key="k",
        index_key="i",
        instances=instances,
        bytes=1,
        sha256="",
        skipped=skipped,
    )


def fresh(instances: int = 10, skipped: tuple[int, ...] = ()) -> Ledger:
    return new_ledger("d", 0, pack(instances, skipped))


@given(st.sets(st.integers(0, 600)))
def test_bitmaps_hold_what_was_put_in(chosen: set[int]) -> None:
    bits = books.bitmap(chosen)
    assert list(books.positions(books.number(books.text(bits)))) == sorted(chosen)


def test_skipped_positions_are_never_sent() -> None:
    ledger = fresh(5, (1, 3))
    assert list(books.positions(books.to_send(ledger, 3))) == [0, 2, 4]
    assert books.sums([ledger], 3).total == 3


def test_kept_instances_are_to_be_proved_and_not_sent_again() -> None:
    ledger = fresh(3)
    books.note_kept(ledger, 1, None)
    assert list(books.positions(books.to_send(ledger, 3))) == [0, 2]
    assert list(books.positions(books.to_prove(ledger))) == [1]


def test_refused_instances_have_so_many_tries_in_an_episode() -> None:
    ledger = fresh(2)
    for _ in range(3):
        assert books.to_send(ledger, 3) == 0b11
        books.note_refused(ledger, 0, 0xC000)
    assert books.to_send(ledger, 3) == 0b10
    assert books.sums([ledger], 3).refused == {0xC000: 1}
    assert not books.begin_episode(ledger, 0)
    assert books.begin_episode(ledger, 1)
    assert books.to_send(ledger, 3) == 0b11


def test_a_refused_instance_that_is_taken_later_is_no_longer_refused() -> None:
    ledger = fresh(1)
    books.note_refused(ledger, 0, 0xC000)
    books.note_kept(ledger, 0, 0xB000)
    sums = books.sums([ledger], 3)
    assert (sums.refused, sums.warned, sums.stored) == ({}, {0xB000: 1}, 1)
    books.note_kept(ledger, 0, None)
    assert books.sums([ledger], 3).warned == {}


def test_missing_instances_are_sent_again() -> None:
    ledger = fresh(2)
    books.note_kept(ledger, 0, None)
    books.note_kept(ledger, 1, None)
    books.note_missing(ledger, 0b01)
    assert books.to_send(ledger, 3) == 0b01


def test_only_what_was_on_its_way_is_uncertain() -> None:
    ledger = fresh(8, (5,))
    books.note_kept(ledger, 0, None)
    books.note_refused(ledger, 1, 0xC000)
    ledger.reserved = books.text(0b111111)
    assert list(books.positions(books.uncertain(ledger))) == [2, 3, 4]


def test_an_heir_takes_over_what_it_wants_itself() -> None:
    earlier = fresh(4)
    for position in range(3):
        books.note_kept(earlier, position, None)
    earlier.proven = "3"
    heir = fresh(4, (0,))
    books.inherit(heir, earlier)
    assert (heir.stored, heir.proven) == ("6", "2")
