"""multipart/related answers."""

import pytest

from services.view.rules.multipart import Part, closing, media_of, opening, total, wants_single


def test_the_length_is_known_before() -> None:
    parts = [Part("application/dicom", 5), Part("application/dicom", 7)]
    body = b"".join(opening("b", part) + b"x" * part.length + b"\r\n" for part in parts) + closing("b")
    assert total("b", parts) == len(body)


def test_media_types_name_the_transfer_syntax() -> None:
    assert media_of("1.2.840.10008.1.2").endswith("=1.2.840.10008.1.2.1")
    assert media_of("1.2.840.10008.1.2.4.90").endswith("=1.2.840.10008.1.2.4.90")


@pytest.mark.parametrize(
    ("accept", "single"),
    [
        ("application/dicom", True),
        ("application/dicom; transfer-syntax=*", True),
        ('multipart/related; type="application/dicom"', False),
        ('application/dicom, multipart/related; type="application/dicom"', False),
        ("*/*", False),
        ("", False),
    ],
)
def test_single_part_is_sent_when_asked_for(accept: str, single: bool) -> None:
    assert wants_single(accept, "application/dicom") is single
