"""Patients for journeys with many: each unlike every other, so that a match is certain."""

import hashlib
from datetime import UTC

from kit.clock import utc_now
from kit.hl7.build import adt
from schemas.shapes import Demographics


def name_of(label: str) -> str:
    """A name unlike every other: near namesakes are no certain match."""
    digest = hashlib.sha256(label.encode()).digest()
    letters = ["".join(chr(65 + byte % 26) for byte in part) for part in (digest[:12], digest[12:20])]
    return "^".join(letters)


def birth_date_of(label: str) -> str:
    digest = hashlib.sha256(label.encode()).digest()
    return f"19{30 + digest[0] % 60}{1 + digest[1] % 12:02}{1 + digest[2] % 28:02}"


def local_id(label: str) -> str:
    """The hospital's own patient ID."""
    return f"L{label}"


def patient(label: str) -> Demographics:
    """As the hospital knows them."""
    return Demographics(
        patient_id=local_id(label),
        issuer="HOSPITAL",
        name=name_of(label),
        birth_date=birth_date_of(label),
        sex="F",
    )


def announcement(label: str) -> str:
    """The hospital's HL7 message (ADT^A04)."""
    return adt(patient(label), now=utc_now(), zone=UTC)
