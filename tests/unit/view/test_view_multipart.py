"""multipart/related answers."""

from services.view.rules.multipart import Part, closing, opening, total


def test_the_length_is_known_before() -> None:
    parts = [Part("application/dicom", 5), Part("application/dicom", 7)]
    body = b"".join(opening("b", part) + b"x" * part.length + b"\r\n" for part in parts) + closing("b")
    assert total("b", parts) == len(body)
