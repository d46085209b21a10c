"""From stored values to what is seen."""

import numpy as np
import pytest

from kit.dicom.grey import grey_levels
from kit.dicom.palette import with_palette
from kit.dicom.rendering import aspect, of_frame


def values(**given: object) -> dict[str, dict[str, object]]:
    tags = {"slope": "00281053", "intercept": "00281052", "center": "00281050", "width": "00281051"}
    tags |= {"function": "00281056", "padding": "00280120", "shape": "20500020", "sign": "00280103"}
    return {tags[name]: {"vr": "DS", "Value": [value]} for name, value in given.items()}


def test_a_linear_window_after_rescaling() -> None:
    """PS3.3 C.11.2.1.2: at center - 0.5 - (width - 1) / 2 and below black, above the other end white."""
    stored = np.array([[0, 1024, 1064, 1264, 4095]], np.uint16)
    found = grey_levels(stored, values(slope=1, intercept=-1024, center=40, width=400), "MONOCHROME2")
    assert found.tolist()[0][0] == 0
    assert found.tolist()[0][-2:] == [255, 255]
    assert found[0, 1] == int((((0 - 39.5) / 399) + 0.5) * 255)


@pytest.mark.parametrize(("photometric", "shape"), [("MONOCHROME1", ""), ("MONOCHROME2", "INVERSE")])
def test_inverse(photometric: str, shape: str) -> None:
    stored = np.array([[0, 255]], np.uint8)
    assert grey_levels(stored, values(center=128, width=256, shape=shape), photometric).tolist() == [[255, 0]]


def test_signed_values_and_padding() -> None:
    stored = np.array([[-2000] * 50 + [-10, 0, 10] * 20], np.int16)
    found = grey_levels(stored, values(padding=-2000), "MONOCHROME2")[0]
    assert found[0] == 0
    assert len({found[50], found[51], found[52]}) == 3


def test_values_that_are_all_the_same_or_no_numbers() -> None:
    for stored in (
        np.full((4, 4), 7, np.uint16),
        np.full((4, 4), np.nan, np.float32),
        np.zeros((4, 4), bool),
    ):
        assert grey_levels(stored, {}, "MONOCHROME2").shape == (4, 4)


def test_sigmoid_has_no_overflow() -> None:
    stored = np.array([[0, 128, 255]], np.uint8)
    found = grey_levels(stored, values(center=128, width=1e-3, function="SIGMOID"), "MONOCHROME2")
    assert found.tolist() == [[0, 127, 255]]


@pytest.mark.parametrize(
    ("sop_class", "relationship", "found"),
    [
        ("1.2.840.10008.5.1.4.1.1.12.1", "LOG", [0, 100, 255]),
        ("1.2.840.10008.5.1.4.1.1.12.1", "LIN", [255, 255, 255]),
        ("1.2.840.10008.5.1.4.1.1.2", "LOG", [255, 255, 255]),
    ],
)
def test_the_way_back_to_the_intensity_of_the_beam_is_not_for_the_eye(
    sop_class: str, relationship: str, found: list[int]
) -> None:
    item = {
        "00283002": {"vr": "US", "Value": [256, 0, 16]},
        "00283006": {"vr": "US", "Value": [value * 10 + 1000 for value in range(256)]},
    }
    header = {
        "00283000": {"vr": "SQ", "Value": [item]},
        "00080016": {"vr": "UI", "Value": [sop_class]},
        "00281040": {"vr": "CS", "Value": [relationship]},
        **values(center=128, width=256),
    }
    stored = np.array([[0, 100, 255]], np.uint8)
    assert grey_levels(stored, header, "MONOCHROME2").tolist() == [found]


def test_a_table_of_levels() -> None:
    item = {
        "00283002": {"vr": "US", "Value": [3, 0, 16]},
        "00283006": {"vr": "US", "Value": [0, 65535, 0]},
    }
    stored = np.array([[0, 1, 2, 9]], np.uint8)
    header = {"00283010": {"vr": "SQ", "Value": [item]}}
    assert grey_levels(stored, header, "MONOCHROME2").tolist() == [[0, 255, 0, 0]]


def _palette(tags: tuple[str, ...], data: str) -> dict[str, object]:
    found: dict[str, object] = {
        tag: {"vr": "US", "Value": [4, 0, 16]} for tag in ("00281101", "00281102", "00281103")
    }
    return found | {tag: {"vr": "OW", "InlineBinary": data} for tag in tags}


def test_palettes_plain_and_in_segments() -> None:
    from base64 import b64encode

    plain = b64encode(np.array([0, 0x5555, 0xAAAA, 0xFFFF], "<u2").tobytes()).decode()
    # one discrete segment of one value, then a line of three steps
    segments = b64encode(np.array([0, 1, 0, 1, 3, 0xFFFF], "<u2").tobytes()).decode()
    indexes = np.array([[0, 1, 2, 3, 9]], np.uint8)
    one = with_palette(indexes, _palette(("00281201", "00281202", "00281203"), plain))
    other = with_palette(indexes, _palette(("00281221", "00281222", "00281223"), segments))
    assert one[0, :, 0].tolist() == [0, 0x55, 0xAA, 0xFF, 0xFF]
    assert np.array_equal(one, other)


def test_what_functional_groups_say_of_a_frame() -> None:
    def group(center: int) -> dict[str, object]:
        window = {"00281050": {"vr": "DS", "Value": [center]}}
        return {"00289132": {"vr": "SQ", "Value": [window]}}

    header = {"52009230": {"vr": "SQ", "Value": [group(1), group(2)]}}
    assert of_frame(header, 1)["00281050"]["Value"] == [2]
    assert "00281050" not in of_frame(header, 7)


def test_pixels_that_are_not_square() -> None:
    assert aspect({"00280030": {"vr": "DS", "Value": [2.0, 1.0]}}) == 2.0
    assert aspect({"00280030": {"vr": "DS", "Value": [1.0, 1.0]}}) == 1.0
    assert aspect({"00280030": {"vr": "DS", "Value": ["x", 0]}}) == 1.0
