"""Which local patient a study belongs to, when its identifiers decide it; else who it may be.

Certain is only what one of these rules says, and only when all that say anything name one patient:

issuer+id        the ID is the patient's under an issuer both sides name, and birth date or name agree
accession        an order has the accession number (study-uid: promises the study's UID), and name,
                 birth date and sex are the ordered patient's
name+birth+sex   name, whole birth date and sex are equal, and no other local patient comes near

A contradicting name, birth date, sex, or ID under the same issuer bars every rule.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from schemas.shapes import Candidate, Order
from services.match.rules.known import LocalOrder, LocalPatient, StudyIdentity
from services.match.rules.names import groups
from services.match.rules.score import Fit, fit, fitting_orders

MOST_CANDIDATES = 10
_NEAR = 0.9
_WORTH_SHOWING = 0.5


@dataclass(frozen=True)
class Outcome:
    """`rule` is empty and `chosen` None when a person must decide."""

    rule: str = ""
    chosen: Candidate | None = None
    candidates: tuple[Candidate, ...] = ()


def decide(study: StudyIdentity, patients: Sequence[LocalPatient]) -> Outcome:
    """`patients` holds every local patient that shares an exact token with the study, and likely ones."""
    fits = sorted((fit(study, patient) for patient in patients), key=lambda f: (-f.score, f.patient.key))
    candidates = _candidates(fits)
    decided = [(rule, found) for rule, finder in _RULES.items() if (found := finder(study, fits)) is not None]
    named = {found.patient.key for _, found in decided} | {f.patient.key for f in fits if _ordered(f)}
    if not decided or len(named) > 1:
        return Outcome(candidates=candidates)
    rule, found = decided[0]
    return Outcome(rule, _candidate(found, _one_order(found)), candidates)


def _ordered(one: Fit) -> bool:
    """The study names an order of just such a person: it must be the one that is chosen."""
    return bool(one.orders) and one.fields.get("birth_date") == 1.0 and one.fields.get("name", 0.0) >= _NEAR


def offer_orders(
    study: StudyIdentity, outcome: Outcome, orders: Mapping[str, Sequence[LocalOrder]]
) -> Outcome:
    """The outcome with the orders (by patient key) a person may mean beside each candidate without one."""
    found: list[Candidate] = []
    for candidate in outcome.candidates:
        found.append(candidate)
        if candidate.order is None:
            found += [
                candidate.model_copy(update={"order_key": local.key, "order": local.order})
                for local in fitting_orders(study, orders.get(candidate.patient_key, ()))
            ]
    return replace(outcome, candidates=tuple(found[:MOST_CANDIDATES]))


def differs(one: Outcome, other: Outcome) -> bool:
    """Whether the two decide differently; scores and candidates beside a chosen one don't matter."""
    if one.rule != other.rule or _target(one) != _target(other):
        return True
    return one.chosen is None and one.candidates != other.candidates


def _target(outcome: Outcome) -> tuple[object, ...]:
    chosen = outcome.chosen
    return () if chosen is None else (chosen.patient_key, chosen.patient, chosen.order_key, chosen.order)


def _by_id(study: StudyIdentity, fits: Sequence[Fit]) -> Fit | None:
    holders = [f for f in fits if f.fields.get("id") == 1.0]
    if len(holders) != 1 or holders[0].contradictions:
        return None
    found = holders[0]
    return found if found.fields.get("birth_date") == 1.0 or found.same_name else None


def _by_order(study: StudyIdentity, fits: Sequence[Fit], field: str) -> Fit | None:
    holders = [f for f in fits if f.fields.get(field) == 1.0 and not f.contradictions and _ordered(f)]
    return holders[0] if len(holders) == 1 else None


def _by_person(study: StudyIdentity, fits: Sequence[Fit]) -> Fit | None:
    if any(group.generic for group in groups(study.patient.name)):
        return None
    exact = [
        f for f in fits if f.same_name and f.fields.get("birth_date") == 1.0 and f.fields.get("sex") == 1.0
    ]
    rivals = [
        f
        for f in fits
        if f.fields.get("name", 0.0) >= _NEAR
        and f.fields.get("birth_date", 0.5) >= 0.5
        and f.fields.get("sex", 0.5) >= 0.5
    ]
    if len(exact) != 1 or len(rivals) != 1 or exact[0].contradictions:
        return None
    return exact[0]


_RULES: dict[str, Callable[[StudyIdentity, Sequence[Fit]], Fit | None]] = {
    "issuer+id": _by_id,
    "accession": lambda study, fits: _by_order(study, fits, "accession"),
    "study-uid": lambda study, fits: _by_order(study, fits, "study_uid"),
    "name+birth+sex": _by_person,
}


def _candidates(fits: Sequence[Fit]) -> tuple[Candidate, ...]:
    found: list[Candidate] = []
    for one in fits:
        if len(found) >= MOST_CANDIDATES:
            break
        if one.score < _WORTH_SHOWING and not one.named:
            continue
        found += [_candidate(one, local) for local in one.orders] or [_candidate(one, None)]
    return tuple(found[:MOST_CANDIDATES])


def _one_order(found: Fit) -> LocalOrder | None:
    """The order the study names; several procedures under one accession number leave only the number."""
    if not found.orders:
        return None
    first = found.orders[0]
    procedures = {local.order.requested_procedure_id for local in found.orders} - {""}
    if len(procedures) <= 1:
        return next((local for local in found.orders if local.order.requested_procedure_id), first)
    number = Order(
        accession_number=first.order.accession_number, accession_issuer=first.order.accession_issuer
    )
    return LocalOrder(first.key, number)


def _candidate(found: Fit, local: LocalOrder | None) -> Candidate:
    return Candidate(
        patient_key=found.patient.key,
        patient=found.patient.patient,
        order_key=local.key if local else None,
        order=local.order if local else None,
        score=found.score,
        fields=found.fields,
        contradictions=found.contradictions,
    )
