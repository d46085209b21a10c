"""Which form of an answer is chosen."""

import pytest

from kit.dicom.meta import EXPLICIT, IMPLICIT
from services.view.rules.accept import NotAcceptable, first_of, frame_form, instance_form, ranges

JPEG, J2K, RLE, FILM = (f"1.2.840.10008.1.2.{n}" for n in ("4.50", "4.90", "5", "4.102"))


@pytest.mark.parametrize(
    ("accept", "stored", "single", "syntax"),
    [
        ("", J2K, False, None),
        ("*/*", J2K, False, None),
        ('multipart/related; type="application/dicom"; transfer-syntax=*', J2K, False, None),
        ("multipart/related; type=application/dicom; transfer-syntax=*", J2K, False, None),
        ('multipart/related; type="application/dicom"', J2K, False, EXPLICIT),
        ('multipart/related; type="application/dicom"', JPEG, False, None),
        ('multipart/related; type="application/dicom"', EXPLICIT, False, None),
        ('multipart/related; type="application/dicom"', FILM, False, None),
        (f'multipart/related; type="application/dicom"; transfer-syntax="{J2K}"', J2K, False, None),
        ("application/dicom", IMPLICIT, True, EXPLICIT),
        ("application/dicom; transfer-syntax=*", RLE, True, None),
        (f"application/dicom; transfer-syntax={IMPLICIT}", RLE, True, IMPLICIT),
        (f"application/dicom; transfer-syntax={RLE}, application/dicom; transfer-syntax=*", J2K, True, None),
        ("text/html, application/dicom; transfer-syntax=*; q=0.5", J2K, True, None),
    ],
)
def test_instances(accept: str, stored: str, single: bool, syntax: str | None) -> None:
    form = instance_form(ranges([accept] if accept else []), [stored])
    assert (form.single, form.syntax) == (single, syntax)


@pytest.mark.parametrize(
    "accept",
    ["text/html", f"application/dicom; transfer-syntax={RLE}", "application/dicom;q=0", "image/jpeg"],
)
def test_instances_that_cannot_be_had(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        instance_form(ranges([accept]), [J2K])


@pytest.mark.parametrize(
    ("accept", "stored", "single", "syntax", "media"),
    [
        ("", J2K, False, None, f"application/octet-stream; transfer-syntax={J2K}"),
        (
            "multipart/related; type=application/octet-stream; transfer-syntax=*",
            *(J2K, False, None, f"application/octet-stream; transfer-syntax={J2K}"),
        ),
        (
            'multipart/related; type="application/octet-stream"',
            *(J2K, False, EXPLICIT, f"application/octet-stream; transfer-syntax={EXPLICIT}"),
        ),
        (
            "application/octet-stream",
            *(IMPLICIT, True, None, f"application/octet-stream; transfer-syntax={EXPLICIT}"),
        ),
        ('multipart/related; type="image/jp2"', J2K, False, None, f"image/jp2; transfer-syntax={J2K}"),
        ("image/jpeg", JPEG, True, None, f"image/jpeg; transfer-syntax={JPEG}"),
        ("image/jpeg, */*", J2K, False, None, f"application/octet-stream; transfer-syntax={J2K}"),
    ],
)
def test_frames(accept: str, stored: str, single: bool, syntax: str | None, media: str) -> None:
    form = frame_form(ranges([accept] if accept else []), stored, 1)
    assert (form.single, form.syntax, form.media) == (single, syntax, media)


def test_several_frames_need_parts() -> None:
    with pytest.raises(NotAcceptable):
        frame_form(ranges(["application/octet-stream"]), EXPLICIT, 2)


def test_the_better_one_first_and_the_query_before_the_header() -> None:
    taken = ranges(["image/png;q=0.2, image/jpeg;q=0.9, text/html"])
    assert [one.kind for one in taken] == ["text/html", "image/jpeg", "image/png"]
    assert first_of(taken, ("image/png", "image/jpeg")) == "image/jpeg"
    assert first_of(ranges(["text/html"], "image/png"), ("image/jpeg", "image/png")) == "image/png"
    assert first_of(ranges(["image/*"]), ("image/jpeg",)) == "image/jpeg"
    assert first_of(ranges(["text/html"]), ("image/jpeg",)) is None
    assert ranges(['a/b; x="1,2;3"'])[0].parameters == {"x": "1,2;3"}
