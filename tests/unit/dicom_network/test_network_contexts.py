import pytest
from pynetdicom.sop_class import _STORAGE_CLASSES

from kit.dicom.network import COMMITMENT_CLASS, VERIFICATION, contexts
from kit.dicom.network.associate import Offer
from kit.dicom.network.contexts import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    is_storage,
    negotiate,
    preferred,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
JPEG = "1.2.840.10008.1.2.4.50"
DEFLATED = "1.2.840.10008.1.2.1.99"
HTJ2K = "1.2.840.10008.1.2.4.201"
PRIVATE_SYNTAX = "1.2.826.0.1.3680043.9.1"


def test_every_storage_class_is_storage() -> None:
    assert all(is_storage(uid) for uid in _STORAGE_CLASSES.values())


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.1.1.3",  # retired: ultrasound multi-frame
        "1.2.840.10008.5.1.4.1.1.12.3",  # retired: X-ray angiographic bi-plane
        "1.2.840.10008.5.1.4.38.1",  # hanging protocol
        "1.3.12.2.1107.5.9.1",  # private: Siemens CSA non-image
        "1.2.840.113619.4.27",  # private: GE
        "1.3.46.670589.11.0.0.12.1",  # private: Philips
    ],
)
def test_retired_private_and_other_storage_classes_are_storage(uid: str) -> None:
    assert is_storage(uid)


@pytest.mark.parametrize(
    "uid",
    [
        VERIFICATION,
        COMMITMENT_CLASS,
        "1.2.840.10008.5.1.4.1.2.2.1",  # study root find
        "1.2.840.10008.5.1.4.1.2.2.2",  # study root move
        "1.2.840.10008.5.1.4.31",  # worklist
        "1.2.840.10008.3.1.2.3.3",  # performed procedure step
        "1.2.840.10008.5.1.1.9",  # print
        "1.2.840.10008.1.3.10",  # media storage directory
        "1.2.840.10008.5.1.4.38.2",  # hanging protocol find
        "1.2.840.10008.99.99",
        "",
        "CT Image Storage",
        "1" * 65,
    ],
)
def test_services_and_nonsense_are_not(uid: str) -> None:
    assert not is_storage(uid)


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        ([IMPLICIT_LITTLE], IMPLICIT_LITTLE),
        ([IMPLICIT_LITTLE, EXPLICIT_LITTLE], EXPLICIT_LITTLE),
        ([IMPLICIT_LITTLE, JPEG, EXPLICIT_LITTLE], JPEG),
        ([EXPLICIT_LITTLE, JPEG], EXPLICIT_LITTLE),
        ([EXPLICIT_BIG, IMPLICIT_LITTLE], IMPLICIT_LITTLE),
        ([EXPLICIT_BIG], EXPLICIT_BIG),
        ([DEFLATED], DEFLATED),
        ([PRIVATE_SYNTAX], PRIVATE_SYNTAX),
        ([PRIVATE_SYNTAX, IMPLICIT_LITTLE], IMPLICIT_LITTLE),
        ([HTJ2K], HTJ2K),
        ([], None),
        (["", "nonsense"], None),
    ],
)
def test_the_preferred_transfer_syntax(offered: list[str], taken: str | None) -> None:
    assert preferred(offered) == taken


def _results(stores: bool, reports: bool) -> dict[str, int]:
    offers = [
        Offer(1, VERIFICATION, (IMPLICIT_LITTLE,)),
        Offer(3, CT, (IMPLICIT_LITTLE,)),
        Offer(5, COMMITMENT_CLASS, (IMPLICIT_LITTLE, DEFLATED)),
        Offer(7, "1.2.840.10008.5.1.4.31", (IMPLICIT_LITTLE,)),
        Offer(9, CT, ()),
        Offer(11, COMMITMENT_CLASS, (DEFLATED,)),
    ]
    answers, _ = negotiate(offers, {}, stores=stores, reports=reports)
    return {f"{answer.id}": answer.result for answer in answers}


def test_a_sender_may_store_and_an_archive_may_report() -> None:
    assert _results(stores=True, reports=False) == {"1": 0, "3": 0, "5": 1, "7": 3, "9": 4, "11": 1}
    assert _results(stores=False, reports=True) == {"1": 0, "3": 1, "5": 0, "7": 3, "9": 1, "11": 4}


def test_an_archive_is_granted_to_be_scp_of_commitment_and_nobody_else_is_scp() -> None:
    offers = [Offer(1, COMMITMENT_CLASS, (EXPLICIT_LITTLE,)), Offer(3, CT, (EXPLICIT_LITTLE,))]
    roles = {COMMITMENT_CLASS: (False, True), CT: (True, True), "1.2.3": (True, True)}
    _, granted = negotiate(offers, roles, stores=True, reports=True)
    assert granted == {COMMITMENT_CLASS: (False, True), CT: (True, False)}


def test_an_empty_offer_is_answered_with_a_syntax_all_the_same() -> None:
    answers, _ = negotiate([Offer(1, CT, ())], {}, stores=True, reports=False)
    assert answers[0].transfer_syntax == IMPLICIT_LITTLE
    assert answers[0].result == contexts.NO_TRANSFER_SYNTAX
