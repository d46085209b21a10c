"""Whether two identities can be the same patient. Used within a study and over a submission."""

import re
import unicodedata
from collections.abc import Iterable

from schemas.shapes import Demographics


def may_be_same(a: Demographics, b: Demographics) -> bool:
    """Nothing both of them state contradicts: blanks, case, accents and empty name parts don't count."""
    if a == b:
        return True
    issuers_differ = _differ(_plain(a.issuer), _plain(b.issuer))
    return not (
        (not issuers_differ and _differ(_plain(a.patient_id), _plain(b.patient_id)))
        or _differ(_name(a.name), _name(b.name))
        or _differ(a.birth_date.strip(), b.birth_date.strip())
        or _differ(a.sex.strip().upper(), b.sex.strip().upper())
    )


def distinct(patients: Iterable[Demographics]) -> list[Demographics]:
    """One of each, in the order given; those that may be the same count once."""
    found: list[Demographics] = []
    for patient in dict.fromkeys(patients):
        if not any(may_be_same(patient, known) for known in found):
            found.append(patient)
    return found


def _differ(a: str, b: str) -> bool:
    return bool(a) and bool(b) and a != b


def _plain(text: str) -> str:
    return text.strip().casefold()


def _name(name: str) -> str:
    """The first group of a PN (PS3.5 6.2.1) that has content, as bare letters."""
    group = next((group for group in name.split("=") if group.strip("^ ")), "")
    letters = unicodedata.normalize("NFKD", group.casefold())
    letters = "".join(char for char in letters if not unicodedata.combining(char))
    return " ".join(re.findall(r"\w+", letters))
