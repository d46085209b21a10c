import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode

from kit.dicom.network import commands
from kit.dicom.network.commands import BadCommand, Command


def _store_request() -> Command:
    elements: dict[int, int | str] = {
        commands.AFFECTED_CLASS: "1.2.840.10008.5.1.4.1.1.2",
        commands.AFFECTED_INSTANCE: "1.2.3",
        commands.PRIORITY: 0,
    }
    return commands.request(commands.C_STORE_RQ, 7, elements, dataset=True)


def test_a_request_is_what_pydicom_would_write() -> None:
    expected = Dataset()
    expected.AffectedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    expected.CommandField = 1
    expected.MessageID = 7
    expected.Priority = 0
    expected.CommandDataSetType = 1
    expected.AffectedSOPInstanceUID = "1.2.3"
    body = encode(expected, True, True)
    assert body is not None
    encoded = _store_request().encode()
    assert encoded[12:] == body
    assert encoded[:12] == b"\0\0\0\0\4\0\0\0" + len(body).to_bytes(4, "little")


def test_encoding_and_decoding_are_inverse() -> None:
    decoded = commands.decode(_store_request().encode())
    assert decoded.field == commands.C_STORE_RQ
    assert decoded.message_id == 7
    assert decoded.has_dataset
    assert decoded.text(commands.AFFECTED_INSTANCE) == "1.2.3"
    assert decoded.responded_to is None


def test_a_response_names_what_the_request_named() -> None:
    answer = commands.decode(commands.response(_store_request(), 0xA700, "full").encode())
    assert answer.field == 0x8001
    assert answer.responded_to == 7
    assert not answer.has_dataset
    assert answer.number(commands.STATUS) == 0xA700
    assert answer.text(commands.ERROR_COMMENT) == "full"
    assert answer.text(commands.AFFECTED_CLASS) == "1.2.840.10008.5.1.4.1.1.2"


def test_a_response_to_an_event_report_repeats_its_type() -> None:
    elements: dict[int, int | str] = {commands.EVENT_TYPE: 2, commands.AFFECTED_INSTANCE: "1.2.9"}
    report = commands.request(commands.N_EVENT_REPORT_RQ, 1, elements, dataset=True)
    assert commands.response(report, 0).number(commands.EVENT_TYPE) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0\0\0\1\2\0\0\0\1",
        b"\0\0\0\1\xff\xff\xff\xff",
        b"\x08\0\0\1\2\0\0\0\1\0",
        b"\0\0\2\0\4\0\0\x001.2\0",
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(BadCommand):
        commands.decode(data)


@given(st.binary(max_size=300))
def test_random_bytes_decode_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(BadCommand):
        commands.decode(data)


@given(st.binary(max_size=200))
def test_a_damaged_command_decodes_or_is_refused(noise: bytes) -> None:
    whole = _store_request().encode()
    with contextlib.suppress(BadCommand):
        commands.decode(whole[: len(whole) // 2] + noise)
