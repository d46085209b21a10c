import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.dicom.network import COMMITMENT_CLASS, Context, associate
from kit.dicom.network.associate import Answer, BadAssociation
from kit.dicom.network.errors import Rejected

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"


def _request() -> bytes:
    return associate.encode_request(
        "PACS", "ANTEROOM", [Context(CT, (JPEG, EXPLICIT)), Context(CT, (EXPLICIT,))]
    )


def test_a_request_comes_back_as_it_was() -> None:
    request = associate.decode_request(_request())
    assert (request.called_ae, request.calling_ae) == ("PACS", "ANTEROOM")
    assert request.application_context == associate.APPLICATION_CONTEXT
    assert [offer.id for offer in request.offers] == [1, 3]
    assert request.offers[0].transfer_syntaxes == (JPEG, EXPLICIT)
    assert request.max_pdu == 128 * 1024


def test_an_acceptance_comes_back_as_it_was() -> None:
    request = associate.decode_request(_request())
    pdu = associate.encode_acceptance(
        request, [Answer(1, 0, JPEG), Answer(3, 4, EXPLICIT)], {COMMITMENT_CLASS: (False, True)}
    )
    acceptance = associate.decode_acceptance(pdu)
    assert acceptance.answers[0] == Answer(1, 0, JPEG)
    assert acceptance.answers[1].result == 4
    assert acceptance.max_pdu == 128 * 1024


def test_a_rejection_says_why() -> None:
    assert associate.decode_rejection(associate.encode_rejection(1, 1, 3)) == (1, 1, 3)
    error = Rejected("PACS", 1, 1, 3)
    assert error.permanent
    assert str(error) == "PACS: it refused the association: calling AE title not recognised"


@pytest.mark.parametrize("title", ["", " " * 16, "A" * 17])
def test_an_invalid_ae_title_is_not_sent(title: str) -> None:
    with pytest.raises(ValueError):
        associate.encode_request(title, "ANTEROOM", [Context(CT, (EXPLICIT,))])


@given(st.binary(max_size=400))
def test_random_requests_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(BadAssociation):
        associate.decode_request(b"\x01\x00" + len(body).to_bytes(4, "big") + body)


@given(st.integers(0, 200), st.integers(0, 255))
def test_damaged_requests_are_read_or_refused(place: int, value: int) -> None:
    pdu = bytearray(_request())
    pdu[6 + place % (len(pdu) - 6)] = value
    with contextlib.suppress(BadAssociation):
        associate.decode_request(bytes(pdu))


def test_contexts_with_wrong_numbers_are_refused() -> None:
    pdu = bytearray(_request())
    first = pdu.index(b"\x20\x00", 74)
    for number in (2, 3):
        pdu[first + 4] = number
        with pytest.raises(BadAssociation):
            associate.decode_request(bytes(pdu))
