"""Studies, matches and cases for the portal's tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

from kit.identity import Account, Role
from schemas.shapes import Candidate, Demographics, Match, Order, Sender, Study
from services.portal.models import Case, Settled
from services.portal.rules.state import refresh, take_match, take_settled, take_study

NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
SENDER = Sender(id="clinic", name="Clinic", origin="clinic", door="api")
FOREIGN = Demographics(patient_id="F-77", issuer="CLINIC", name="Müller^Jörg", birth_date="19700102", sex="M")
LOCAL = Demographics(
    patient_id="4711", issuer="HOSPITAL", name="Mueller^Joerg", birth_date="19700102", sex="M"
)
OTHER = Demographics(patient_id="4712", issuer="HOSPITAL", name="Other^One")
ORDER = Order(accession_number="A1")


def study(revision: int = 1, instances: int = 10, **fields: Any) -> Study:
    content: dict[str, Any] = {
        "id": "s1",
        "revision": revision,
        "origin": "clinic",
        "sender": SENDER,
        "study_instance_uid": "1.2.3.4.5",
        "patient": FOREIGN,
        "accession_number": "ACC-9",
        "submissions": ("sub1",),
        "instances": instances,
        "arrived_at": NOW,
        "updated_at": NOW + timedelta(minutes=revision),
    }
    return Study(**{**content, **fields})


def match(revision: int = 1, study_revision: int = 1, *, certain: bool = True, **fields: Any) -> Match:
    first = Candidate(patient_key="p1", patient=LOCAL, order_key="o1", order=ORDER, score=1)
    second = Candidate(patient_key="p2", patient=OTHER, score=0.5)
    content: dict[str, Any] = {
        "study_id": "s1",
        "study_revision": study_revision,
        "revision": revision,
        "state": "matched" if certain else "unmatched",
        "certainty": "certain" if certain else "none",
        "rule": "issuer+id" if certain else "",
        "chosen": first if certain else None,
        "candidates": (first, second),
    }
    return Match(**{**content, **fields})


def case(
    of: Study | None = None, matched: Match | None = None, *, settled: bool = True, sender: Sender = SENDER
) -> Case:
    made = Case(id="s1")
    take_study(made, of or study(), "sub1")
    take_match(made, matched or match(study_revision=(of or study()).revision), NOW)
    if settled:
        take_settled(made, "sub1", Settled(revision=1, sender=sender, waiting=0), NOW)
    refresh(made)
    return made


def account(**fields: Any) -> Account:
    content: dict[str, Any] = {
        "id": "clinic",
        "name": "Clinic",
        "roles": [Role.SEND],
        "policy": "forward-certain",
        "destinations": ["pacs"],
    }
    return Account(**{**content, **fields})
