"""Messages in any order lead to the same records."""

from datetime import UTC, datetime
from itertools import permutations
from zoneinfo import ZoneInfo

from kit.hl7.message import parse
from services.match.documents import OrderDoc, Patient
from services.match.records import apply, apply_order, changes
from services.match.rules.facts import merges, message_time, orders, patients
from tests.component.match.samples import adt, merge, order

ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def _records(messages: tuple[str, ...]) -> dict[str, tuple[object, ...]]:
    records: dict[str, Patient] = {}
    for text in messages:
        message = parse(text)
        when = message_time(message, NOW, ZONE)
        for key, change in changes(patients(message, "HOSPITAL"), merges(message, "HOSPITAL")).items():
            apply(change, records.setdefault(key, Patient(id=key)), when)
    return {
        key: (r.name, r.birth_date, r.sex, r.merged_into, r.deleted, [held.value for held in r.held])
        for key, r in sorted(records.items())
    }


def test_updates_and_merges_in_any_order() -> None:
    messages = (
        adt(patient_id="A", name="First^Anna", time="20260301100000"),
        adt(patient_id="A", name="Second^Anna", time="20260301110000"),
        adt(patient_id="B", name="Third^Anna", sex="", time="20260301120000"),
        merge("B", "A", name="Third^Anna", time="20260301130000"),
        merge("A", "B", name="Fourth^Anna", time="20260301140000"),
    )
    expected = _records(messages)
    assert {values[3] for values in expected.values()} != {""}
    for shuffled in permutations(messages):
        assert _records(shuffled) == expected


def test_chain_of_merges_in_any_order() -> None:
    messages = (
        merge("B", "A", time="20260301130000"),
        merge("C", "B", time="20260301140000"),
        merge("D", "C", time="20260301150000"),
        adt(patient_id="A", time="20260301160000"),
    )
    expected = _records(messages)
    for shuffled in permutations(messages):
        assert _records(shuffled) == expected


def test_states_of_an_order_in_any_order() -> None:
    messages = (
        order(accession="", time="20260301100000"),
        order(accession="ACC1", control="SC", time="20260301110000"),
        order(accession="ACC1", control="CA", time="20260301120000"),
    )

    def final(texts: tuple[str, ...]) -> tuple[object, ...]:
        record: OrderDoc | None = None
        for text in texts:
            message = parse(text)
            facts = orders(message, ZONE, accession_from_filler=False)[0]
            record = record or OrderDoc(id=facts.key, patient_key="p", order=facts.order.model_copy())
            apply_order(facts, "p", record, message_time(message, NOW, ZONE))
        assert record is not None
        return record.order, record.cancelled

    assert final(messages)[1]
    for shuffled in permutations(messages):
        assert final(shuffled) == final(messages)
