import pytest

from kit.dicom.network import Family, Status


@pytest.mark.parametrize(
    ("code", "family", "name"),
    [
        (0x0000, Family.SUCCESS, "success"),
        (0xB000, Family.WARNING, "coercion of data elements"),
        (0xB006, Family.WARNING, "elements discarded"),
        (0xB007, Family.WARNING, "data set does not match SOP class (kept)"),
        (0xB123, Family.WARNING, "unknown status"),
        (0x0107, Family.WARNING, "attribute list error"),
        (0xA700, Family.REFUSED, "out of resources"),
        (0xA7FF, Family.REFUSED, "out of resources"),
        (0x0213, Family.REFUSED, "resource limitation"),
        (0xA900, Family.FAILED, "data set does not match SOP class"),
        (0xA901, Family.FAILED, "data set does not match SOP class"),
        (0xC000, Family.FAILED, "cannot understand"),
        (0xCFFF, Family.FAILED, "cannot understand"),
        (0x0122, Family.FAILED, "SOP class not supported"),
        (0x0124, Family.FAILED, "not authorized"),
        (0x1234, Family.FAILED, "unknown status"),
        (0xFE00, Family.CANCELLED, "cancelled"),
        (0xFF00, Family.PENDING, "pending"),
        (0xFF01, Family.PENDING, "pending, optional keys not supported"),
    ],
)
def test_families_and_names(code: int, family: Family, name: str) -> None:
    status = Status(code)
    assert (status.family, status.name) == (family, name)
    assert status.ok is (family in (Family.SUCCESS, Family.WARNING))


def test_text_shows_name_and_code_but_never_the_peers_comment() -> None:
    assert str(Status(0xA700, "DOE^JOHN")) == "out of resources (0xA700)"
