"""How well one local patient fits a study, field by field, and what speaks against it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from kit.hl7.times import dicom_date
from schemas.shapes import Demographics
from services.match.rules.demographics import (
    date_score,
    normal_id,
    other_id,
    same_id,
    sex_score,
)
from services.match.rules.known import LocalOrder, LocalPatient, StudyIdentity, identifier_of
from services.match.rules.names import CONTRADICTS, groups, same, similarity

_WEIGHTS = {"id": 0.3, "name": 0.4, "birth_date": 0.25, "sex": 0.05}
_LEAST = 0.7
"""Fields weighing less than this together can't reach the full score."""

_AGAINST = {"id": 0.01, "name": CONTRADICTS, "birth_date": 0.5, "sex": 0.5}
"""A field that scores less contradicts."""

_TEXT_ONLY = 0.6
"""An ID that is equal, but nobody says from which issuer it is."""


@dataclass(frozen=True)
class Fit:
    """One local patient held against a study. `fields` are 0 to 1, and only those both sides know."""

    patient: LocalPatient
    fields: dict[str, float]
    contradictions: tuple[str, ...]
    orders: tuple[LocalOrder, ...]
    """Those the study names, by accession number or UID."""
    same_name: bool

    @property
    def score(self) -> float:
        weights = {name: weight for name, weight in _WEIGHTS.items() if name in self.fields}
        total = sum(weights.values())
        base = sum(self.fields[name] * weight for name, weight in weights.items()) / max(total, _LEAST)
        if self.orders:
            base += (1 - base) / 2
        return round(min(base, 1.0), 3)

    @property
    def named(self) -> bool:
        """Found by an identifier or accession number, however little else fits."""
        return bool(self.orders) or self.fields.get("id", 0.0) > 0


def fit(study: StudyIdentity, patient: LocalPatient) -> Fit:
    fields = _fields(study.patient, patient)
    orders = named_orders(study, patient)
    if orders:
        fields["accession" if _by_accession(study, orders[0]) else "study_uid"] = 1.0
    contradictions: dict[str, None] = {}
    for identity in study.identities:
        contradictions.update(dict.fromkeys(_contradictions(_fields(identity, patient))))
        if len(contradictions) == len(_AGAINST):
            break
    return Fit(
        patient=patient,
        fields={name: round(value, 3) for name, value in fields.items()},
        contradictions=tuple(contradictions),
        orders=orders,
        same_name=any(same(study.patient.name, name) for name in patient.names),
    )


def named_orders(study: StudyIdentity, patient: LocalPatient) -> tuple[LocalOrder, ...]:
    """The patient's orders that promise this very study by its UID, else those with its accession number."""
    promised = tuple(
        local
        for local in patient.orders
        if study.study_instance_uid and local.order.study_instance_uid == study.study_instance_uid
    )
    return promised or tuple(local for local in patient.orders if _by_accession(study, local))


def fitting_orders(study: StudyIdentity, orders: Sequence[LocalOrder], most: int = 2) -> list[LocalOrder]:
    """Orders a person may mean: of the study's modality, nearest to its date first."""
    fitting = [
        local
        for local in orders
        if not local.order.modality or not study.modalities or local.order.modality in study.modalities
    ]
    return sorted(fitting, key=lambda local: (_days_apart(study, local), local.key))[:most]


def _fields(identity: Demographics, patient: LocalPatient) -> dict[str, float]:
    fields: dict[str, float] = {}
    identifier = identifier_of(identity)
    if any(same_id(identifier, known) for known in patient.identifiers):
        fields["id"] = 1.0
    elif other_id(identifier, patient.identifiers):
        fields["id"] = 0.0
    elif identifier.value and any(
        known.value == identifier.value and not (known.issuers and identifier.issuers)
        for known in patient.identifiers
    ):
        fields["id"] = _TEXT_ONLY
    if groups(identity.name) and any(groups(name) for name in patient.names):
        fields["name"] = max(similarity(identity.name, name) for name in patient.names)
    birth = date_score(identity.birth_date, patient.patient.birth_date)
    if birth is not None:
        fields["birth_date"] = birth
    sex = sex_score(identity.sex, patient.patient.sex)
    if sex is not None:
        fields["sex"] = sex
    return fields


def _contradictions(fields: dict[str, float]) -> list[str]:
    return [name for name, least in _AGAINST.items() if fields.get(name, 1.0) < least]


def _by_accession(study: StudyIdentity, local: LocalOrder) -> bool:
    number = normal_id(study.accession_number)
    return bool(number) and number == normal_id(local.order.accession_number)


def _days_apart(study: StudyIdentity, local: LocalOrder) -> int:
    one, other = dicom_date(study.study_date), dicom_date(local.order.scheduled_at[:8])
    if len(one) != 8 or len(other) != 8:
        return 10_000
    return abs((date.fromisoformat(one) - date.fromisoformat(other)).days)
