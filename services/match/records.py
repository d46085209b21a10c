"""Facts from messages laid onto the records they are about. Nothing is read or saved here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from schemas.shapes import Order
from services.match.documents import Held, OrderDoc, Patient
from services.match.rules.demographics import normal_issuer
from services.match.rules.facts import HeldId, MergeFacts, OrderFacts, PatientFacts

_MOST_NAMES = 12
_MOST_HELD = 40
_MOST_ABSORBED = 200


@dataclass
class Change:
    """All that one message says of one record."""

    facts: PatientFacts | None = None
    retires: list[MergeFacts] = field(default_factory=list)
    retired_by: MergeFacts | None = None


def changes(people: Sequence[PatientFacts], merges: Sequence[MergeFacts]) -> dict[str, Change]:
    """By record key; surviving records stand before those they replace."""
    found: dict[str, Change] = {}
    for facts in [*people, *(pair.surviving for pair in merges)]:
        found.setdefault(facts.key, Change()).facts = facts
    for pair in merges:
        found[pair.surviving.key].retires.append(pair)
    for pair in merges:
        found.setdefault(pair.retired.key, Change()).retired_by = pair
    return found


def apply(change: Change, record: Patient, when: datetime) -> None:
    """Bring the record up to date. What is older than the record only fills its gaps."""
    if change.facts is not None:
        _learn(record, change.facts, when)
    for pair in change.retires:
        if pair.retired.key not in record.absorbed:
            record.absorbed = [*record.absorbed, pair.retired.key][-_MOST_ABSORBED:]
        if not _before(when, record.merged_at):
            # It survives from now on, whatever was or will be heard of earlier merges.
            record.merged_into, record.merged_at = "", when
    if change.retired_by is not None and not _before(when, record.merged_at):
        record.merged_into, record.merged_at = change.retired_by.surviving.key, when
        if not record.held:
            # The merge came before anything else was heard of the record.
            record.held = [_held(held) for held in change.retired_by.retired.held]
            record.name = change.retired_by.retired.name or ""
    record.index()


def apply_order(facts: OrderFacts, patient_key: str, record: OrderDoc, when: datetime) -> None:
    old = _before(when, record.said_at)
    content = record.order.model_dump()
    for name, value in facts.order.model_dump().items():
        if value and not (old and content[name]):
            content[name] = value
    record.order = Order(**content)
    if not old:
        record.patient_key = patient_key
        record.cancelled = facts.cancelled
        record.said_at = when


def _learn(record: Patient, facts: PatientFacts, when: datetime) -> None:
    old = _before(when, record.said_at)
    if facts.name is not None and not (old and record.name):
        record.name = facts.name
    if facts.birth_date is not None and not (old and record.birth_date):
        record.birth_date = facts.birth_date
    if facts.sex is not None and not (old and record.sex):
        record.sex = facts.sex
    if facts.other_names and not (old and record.other_names):
        record.other_names = list(facts.other_names)[:_MOST_NAMES]
    record.held = _merged_held(record.held, [_held(held) for held in facts.held], old=old)
    if not old:
        record.deleted = facts.deleted
        record.said_at = when


def _merged_held(known: list[Held], said: list[Held], *, old: bool) -> list[Held]:
    """Newer IDs replace those of the same issuers; older ones only add issuers not known yet.

    The primary ID, which the record is named by, stays first.
    """
    winning, others = (known, said) if old else (said, known)
    issuers = {name for held in winning for name in normal_issuer(held.issuer, held.universal)}
    extra = [held for held in others if not issuers & set(normal_issuer(held.issuer, held.universal))]
    merged = [*winning, *extra]
    primary = said[0].normal.value
    merged.sort(key=lambda held: held.normal.value != primary)
    return list(dict.fromkeys(merged))[:_MOST_HELD]


def _held(held: HeldId) -> Held:
    return Held(value=held.value, issuer=held.issuer, universal=held.universal, kind=held.kind)


def _before(when: datetime, other: datetime | None) -> bool:
    return other is not None and when < other
