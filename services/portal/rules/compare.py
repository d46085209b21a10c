"""Two identities side by side: what agrees, what differs, and what approving would change. Pure."""

import unicodedata
from dataclasses import dataclass
from typing import Literal

from schemas.shapes import Candidate, Demographics, Match, Order, Study

Kind = Literal["text", "name", "date", "sex"]


@dataclass(frozen=True)
class Pair:
    """One line of the comparison. `verdict`: same, close (only the writing differs), off, missing
    (one side says nothing)."""

    key: str
    kind: Kind
    outside: str
    ours: str
    verdict: Literal["same", "close", "off", "missing"]


@dataclass(frozen=True)
class Change:
    """An attribute as it is in the file, and as it will be."""

    key: str
    kind: Kind
    before: str
    after: str


_FIELDS: tuple[tuple[str, str, Kind], ...] = (
    ("Name", "name", "name"),
    ("Born", "birth_date", "date"),
    ("Sex", "sex", "sex"),
    ("ID", "patient_id", "text"),
    ("Issuer", "issuer", "text"),
)
LABELS = (*(label for label, _, _ in _FIELDS), "Order")


def pairs(outside: Demographics, ours: Demographics) -> list[Pair]:
    found = []
    for label, field, kind in _FIELDS:
        theirs, own = getattr(outside, field), getattr(ours, field)
        if theirs or own:
            found.append(Pair(label, kind, theirs, own, _verdict(theirs, own, kind)))
    return found


def changes(study: Study, target: Demographics | None, order: Order | None) -> list[Change]:
    """What reconciliation would write; the earlier values stay in the file."""
    found = []
    if target is not None:
        for label, field, kind in _FIELDS:
            before, after = getattr(study.patient, field), getattr(target, field)
            if before != after:
                found.append(Change(label, kind, before, after))
    if order is not None and order.accession_number and order.accession_number != study.accession_number:
        found.append(Change("Order", "text", study.accession_number, order.accession_number))
    return found


def people(match: Match | None) -> list[list[Candidate]]:
    """The candidates by patient, the chosen one first; of each patient one row for every order."""
    if match is None:
        return []
    rows = [*([match.chosen] if match.chosen is not None else []), *match.candidates]
    grouped: dict[str, list[Candidate]] = {}
    for row in rows:
        group = grouped.setdefault(row.patient_key, [])
        if row.order_key not in {known.order_key for known in group}:
            group.append(row)
    return list(grouped.values())


def likelihood(score: float) -> str:
    """A score in words. Never says more than it knows."""
    if score >= 0.99:
        return "Almost certain"
    if score >= 0.9:
        return "Very likely"
    if score >= 0.6:
        return "Possible"
    return "Unlikely"


def _verdict(theirs: str, own: str, kind: Kind) -> Literal["same", "close", "off", "missing"]:
    if theirs == own:
        return "same"
    if not theirs or not own:
        return "missing"
    return "close" if kind == "name" and _plain(theirs) == _plain(own) else "off"


def _plain(name: str) -> str:
    text = unicodedata.normalize("NFKD", name.partition("=")[0].casefold())
    return "".join(c for c in text if c.isalnum() and not unicodedata.combining(c))
