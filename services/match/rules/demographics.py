"""Birth dates, sex and identifiers, compared. Dates are DICOM DA, possibly without day or month."""

import re
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz.distance import DamerauLevenshtein

from kit.hl7.times import dicom_date


class Identifier(NamedTuple):
    """A patient's ID with those who issued it, normalised; issuers are the alternative names of one."""

    value: str
    issuers: tuple[str, ...]


def normal_id(value: str) -> str:
    """As compared: capitals, no blanks. Leading zeros count."""
    return "".join(value.split()).upper()


@lru_cache(maxsize=1000)
def normal_issuer(*names: str) -> tuple[str, ...]:
    """The names of one issuer (namespace, universal id), in capitals; empty when it is not known.

    An HD pasted whole, as in "NAME&1.2.3&ISO" or "NAME^1.2.3^ISO", names it twice.
    """
    found: list[str] = []
    for name in names:
        for part in re.split(r"[&^]", name):
            text = " ".join(part.split()).upper()
            if text and text not in (
                "ISO",
                "DNS",
                "GUID",
                "UUID",
                "URI",
                "L",
                "M",
                "N",
                "HCD",
                "X400",
                "X500",
            ):
                found.append(text)
    return tuple(dict.fromkeys(found))


def same_id(one: Identifier, other: Identifier) -> bool:
    """Same value from an issuer both name. Without an issuer, an ID equals nothing."""
    return bool(one.value) and one.value == other.value and bool(set(one.issuers) & set(other.issuers))


def other_id(one: Identifier, known: tuple[Identifier, ...]) -> bool:
    """Its issuer gave the known patient an ID, and not this one."""
    siblings = [other for other in known if set(one.issuers) & set(other.issuers)]
    return bool(one.value and siblings) and all(other.value != one.value for other in siblings)


_STAND_INS = ("19000101", "18000101", "11111111", "19010101", "99991231")
"""What systems fill in when a date is not known."""


def birth_date(text: str) -> str:
    """DA as far as it is known; stand-ins for an unknown date are empty."""
    date = dicom_date(text)
    return "" if date in _STAND_INS else date


def full_date(text: str) -> str:
    """The date when it is whole, else empty."""
    date = birth_date(text)
    return date if len(date) == 8 else ""


def date_score(one: str, other: str) -> float | None:
    """1 equal; 0.5 as far as known; 0.4 one slip or day and month swapped; else 0. None: not comparable."""
    first, second = birth_date(one), birth_date(other)
    if not first or not second:
        return None
    if first == second:
        return 1.0 if len(first) == 8 else 0.5
    if len(first) != len(second):
        return 0.5 if first.startswith(second) or second.startswith(first) else 0.0
    if first[:4] == second[:4] and first[4:6] == second[6:] and first[6:] == second[4:6]:
        return 0.4
    return 0.4 if DamerauLevenshtein.distance(first, second) == 1 else 0.0


def normal_sex(text: str) -> str:
    """M, F, O or empty, of HL7 table 0001 and of DICOM."""
    return {"M": "M", "F": "F", "O": "O", "A": "O", "W": "F"}.get(text.strip().upper()[:1], "")


def sex_score(one: str, other: str) -> float | None:
    first, second = normal_sex(one), normal_sex(other)
    if not first or not second:
        return None
    if first == second:
        return 1.0
    return 0.5 if "O" in (first, second) else 0.0
