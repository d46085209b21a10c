"""Whether two identities can be the same patient. Used within a study and over a submission."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from schemas.shapes import Demographics

MANY = 100
"""Different patients that are told apart; how many more there are helps nobody, and costs time."""


def may_be_same(a: Demographics, b: Demographics) -> bool:
    """Nothing both of them state contradicts: blanks, case, accents and empty name parts don't count."""
    return a == b or _agree(_comparable(a), _comparable(b))


def distinct(patients: Iterable[Demographics]) -> list[Demographics]:
    """One of each, in the order given, MANY at the most; those that may be the same count once."""
    found: list[Demographics] = []
    known: list[tuple[str, ...]] = []
    for patient in dict.fromkeys(patients):
        stated = _comparable(patient)
        if any(_agree(stated, other) for other in known):
            continue
        found.append(patient)
        known.append(stated)
        if len(found) == MANY:
            break
    return found


def _comparable(patient: Demographics) -> tuple[str, ...]:
    """Issuer, ID, name, birth date, sex."""
    return (
        _plain(patient.issuer),
        _plain(patient.patient_id),
        _name(patient.name),
        patient.birth_date.strip(),
        patient.sex.strip().upper(),
    )


def _agree(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """IDs of different issuers say nothing of each other."""
    if not _differ(a[0], b[0]) and _differ(a[1], b[1]):
        return False
    return not (_differ(a[2], b[2]) or _differ(a[3], b[3]) or _differ(a[4], b[4]))


def _differ(a: str, b: str) -> bool:
    return bool(a) and bool(b) and a != b


def _plain(text: str) -> str:
    return text.strip().casefold()


@lru_cache(maxsize=4096)
def _name(name: str) -> str:
    """The first group of a PN (PS3.5 6.2.1) that has content, as bare letters."""
    group = next((group for group in name.split("=") if group.strip("^ ")), "")
    letters = unicodedata.normalize("NFKD", group.casefold())
    letters = "".join(char for char in letters if not unicodedata.combining(char))
    return " ".join(re.findall(r"\w+", letters))
