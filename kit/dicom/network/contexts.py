"""Which presentation contexts the listening side accepts (PS3.8 9.3.3.2, PS3.7 D.3.3.4). Pure."""

import re
from collections.abc import Mapping, Sequence

from pydicom.uid import UID, AllTransferSyntaxes
from pynetdicom import sop_class
from pynetdicom.sop_class import uid_to_service_class

from kit.dicom.network.associate import Answer, Offer
from kit.dicom.network.datasets import COMMITMENT_CLASS

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

ACCEPTED, USER_REJECTION, NO_ABSTRACT_SYNTAX, NO_TRANSFER_SYNTAX = 0, 1, 3, 4

UID_FORM = re.compile(r"[0-9][0-9.]{0,63}")
"""Digits and dots, at most 64 (PS3.5 9.1); leading zeros of a component are forgiven."""

_STANDARD_ROOT = "1.2.840.10008."
_STORAGE_UIDS = frozenset(sop_class._STORAGE_CLASSES.values()) | frozenset(
    sop_class._NON_PATIENT_OBJECT_CLASSES.values()
)
_KNOWN_SYNTAXES = frozenset(str(uid) for uid in AllTransferSyntaxes) - {
    # pixel data left behind at a URL, which is never fetched
    "1.2.840.10008.1.2.4.94",
    "1.2.840.10008.1.2.4.95",
}
_GE_BIG_PIXELS = "1.2.840.113619.5.2"


def is_storage(uid: str) -> bool:
    """Whether instances of this class may be stored: every standard storage class, retired ones
    too, and every private class that is not a known service of another kind."""
    if uid in _STORAGE_UIDS:
        return True
    if not UID_FORM.fullmatch(uid):
        return False
    if uid.startswith(_STANDARD_ROOT):
        name = UID(uid).name
        return "Storage" in name and "Commitment" not in name and "Directory" not in name
    return uid_to_service_class(uid) is uid_to_service_class("")


def preferred(offered: Sequence[str]) -> str | None:
    """The transfer syntax to take: the first explicit or compressed one, then implicit, then one we
    don't know, and a big endian one only when nothing else is offered. None: none offered."""
    ranked = sorted(
        (_rank(syntax), place) for place, syntax in enumerate(offered) if UID_FORM.fullmatch(syntax)
    )
    return offered[ranked[0][1]] if ranked else None


def negotiate(
    offers: Sequence[Offer],
    roles: Mapping[str, tuple[bool, bool]],
    *,
    stores: bool,
    reports: bool,
) -> tuple[list[Answer], dict[str, tuple[bool, bool]]]:
    """Answers to the offers, and to the roles that the requestor proposed (SCU, SCP).

    Verification is always taken; storage when the peer may store; Storage Commitment when it may
    report, with the requestor as SCP: an archive that tells us its result.
    """
    answers = [_answer(offer, stores=stores, reports=reports) for offer in offers]
    taken = {
        offer.abstract_syntax
        for offer, answer in zip(offers, answers, strict=True)
        if answer.result == ACCEPTED
    }
    granted = {
        uid: (False, scp) if uid == COMMITMENT_CLASS else (scu, False)
        for uid, (scu, scp) in roles.items()
        if uid in taken
    }
    return answers, granted


def _answer(offer: Offer, *, stores: bool, reports: bool) -> Answer:
    uid = offer.abstract_syntax
    service = uid in (VERIFICATION, COMMITMENT_CLASS)
    syntax = _plain(offer.transfer_syntaxes) if service else preferred(offer.transfer_syntaxes)
    if not service and not is_storage(uid):
        result = NO_ABSTRACT_SYNTAX
    elif uid != VERIFICATION and not (reports if service else stores):
        result = USER_REJECTION
    elif syntax is None:
        result = NO_TRANSFER_SYNTAX
    else:
        result = ACCEPTED
    return Answer(offer.id, result, syntax or IMPLICIT_LITTLE)


def _plain(offered: Sequence[str]) -> str | None:
    return next((each for each in (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG) if each in offered), None)


def _rank(syntax: str) -> int:
    if syntax == IMPLICIT_LITTLE:
        return 1
    if syntax in (EXPLICIT_BIG, _GE_BIG_PIXELS):
        return 3
    return 0 if syntax in _KNOWN_SYNTAXES else 2
