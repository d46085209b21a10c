"""Well-formed files: nothing is changed, and everything is seen."""

from io import BytesIO

import numpy as np
import orjson
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEGBaseline8Bit

from kit.dicom import looks_like_dicom
from kit.dicom.elements import Span
from kit.dicom.errors import BrokenDicom, IsDicomdir, NotDicom
from tests.unit.dicom.samples import (
    bare,
    dataset,
    encapsulated,
    frame,
    implicit10,
    part10,
    read,
    stored,
)


@pytest.mark.parametrize("write", [part10, implicit10])
def test_a_good_file_is_kept_byte_for_byte(write) -> None:
    data = write(dataset())
    instance = read(data)
    assert instance.pieces == (Span(0, len(data)),)
    assert instance.findings == ()
    assert not instance.needs_person
    assert stored(instance, data) == data


def test_study_fields_are_decoded() -> None:
    instance = read(part10(dataset()))
    assert instance.patient.name == "Müller^Jürgen"
    assert instance.patient.patient_id == "F-17"
    assert instance.patient.birth_date == "19600203"
    assert (instance.study_instance_uid, instance.series_instance_uid) == ("1.2.3.4", "1.2.3.4.5")
    assert (instance.modality, instance.series_number, instance.instance_number) == ("CT", "3", "7")
    assert (instance.rows, instance.columns, instance.frames.count) == (4, 6, 1)


def test_json_is_what_pydicom_makes_of_it() -> None:
    made = dataset()
    made.add_new(0x00091010, "LO", "VENDOR")
    made.add_new(0x00091001, "UN", b"\x01\x02")
    made.FrameIncrementPointer = [0x00181063, 0x00080060]
    made.LossyImageCompressionRatio = ["1.5", "2"]
    made.OtherPatientNames = "A^B=甲^乙=x^y"
    made.SpecificCharacterSet = "ISO_IR 192"
    data = part10(made)
    ours = orjson.loads(read(data).json)
    theirs = pydicom.dcmread(BytesIO(data)).to_json_dict()
    del theirs["7FE00010"]
    assert ours == theirs


def test_json_is_utf8_and_says_so() -> None:
    header = orjson.loads(read(part10(dataset())).json)
    assert header["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert header["00081032"]["Value"][0]["00080104"]["Value"] == ["Schädel"]
    assert "7FE00010" not in header


def test_signed_values_of_implicit_files_follow_pixel_representation() -> None:
    made = dataset(PixelRepresentation=1)
    made.add_new(0x00280106, "SS", -5)
    header = orjson.loads(read(implicit10(made)).json)
    assert header["00280106"] == {"vr": "SS", "Value": [-5]}


def test_numbers_that_are_none_stay_text() -> None:
    made = dataset()
    data = part10(made).replace(b"DS\x04\x001.5 ", b"DS\x04\x001,5 ")
    assert orjson.loads(read(data).json)["00180050"]["Value"] == ["1,5"]


def test_floats_without_a_json_number_stay_text() -> None:
    made = dataset()
    made.add_new(0x00189073, "FD", [float("nan"), float("inf"), 1.5])
    assert orjson.loads(read(part10(made)).json)["00189073"]["Value"] == ["nan", "inf", 1.5]


def test_large_values_stay_in_the_file() -> None:
    made = dataset()
    value = bytes(range(256)) * 200
    made.add_new(0x00091010, "LO", "VENDOR")
    made.add_new(0x00091011, "OB", value)
    data = part10(made)
    instance = read(data)
    assert orjson.loads(instance.json)["00091011"] == {"vr": "OB", "BulkDataURI": "bulkdata/0"}
    (span,) = instance.bulk
    assert data[span.offset : span.offset + span.length] == value


def test_header_end_and_pixel_end_enclose_the_pixel_data_element() -> None:
    made = dataset()
    made.add_new(0xFFFCFFFC, "OB", b"\0" * 10)
    data = part10(made)
    instance = read(data)
    assert data[instance.header_end : instance.header_end + 4] == b"\xe0\x7f\x10\x00"
    assert data[instance.pixel_end : instance.pixel_end + 4] == b"\xfc\xff\xfc\xff"
    assert stored(instance, data) == data


def test_native_frames_follow_each_other() -> None:
    pixels = np.arange(3 * 24, dtype="<u2")
    made = dataset(NumberOfFrames=3, PixelData=pixels.tobytes())
    data = part10(made)
    instance = read(data)
    assert instance.frames.count == 3
    assert frame(instance, data, 2) == pixels[48:].tobytes()
    with pytest.raises(IndexError):
        instance.frames.spans(3)


def test_bit_packed_frames_have_a_bit_offset() -> None:
    made = dataset(NumberOfFrames=3, Rows=3, Columns=3, BitsAllocated=1, BitsStored=1, HighBit=0)
    made.PixelData = bytes([0xFF, 0x0F, 0x55, 0x05])
    instance = read(part10(made))
    assert [instance.frames.bit_offset(n) for n in range(3)] == [0, 1, 2]
    assert [s.length for n in range(3) for s in instance.frames.spans(n)] == [2, 2, 2]


def test_fragments_become_frames() -> None:
    one, two = b"\xff\xd8\xff\xe0" + b"a" * 20, b"\xff\xd8\xff\xe0" + b"b" * 30
    data = part10(encapsulated([one, two], frames=2), JPEGBaseline8Bit)
    instance = read(data)
    assert [frame(instance, data, n) for n in range(2)] == [one, two]
    assert stored(instance, data) == data


def test_long_sequences_are_not_held() -> None:
    items = []
    for number in range(500):
        item = Dataset()
        item.TemporalPositionIndex = number
        items.append(item)
    made = dataset()
    made.PerFrameFunctionalGroupsSequence = Sequence(items)
    header = orjson.loads(read(part10(made)).json)
    values = [item["00209128"]["Value"] for item in header["52009230"]["Value"]]
    assert values == [[number] for number in range(500)]


def test_other_files_are_not_dicom() -> None:
    for data in (b"", b"hello", b"\x89PNG\r\n\x1a\n" + b"\0" * 400, b"PK\x03\x04" + b"\0" * 400, b"\0" * 500):
        assert not looks_like_dicom(data[:256])
        with pytest.raises(NotDicom):
            read(data)


@pytest.mark.parametrize("implicit", [True, False])
def test_a_bare_data_set_looks_like_dicom(implicit: bool) -> None:
    assert looks_like_dicom(bare(dataset(), implicit=implicit)[:256])


def test_a_directory_is_told_apart() -> None:
    made = dataset(SOPClassUID="1.2.840.10008.1.3.10")
    with pytest.raises(IsDicomdir):
        read(part10(made))


def test_errors_travel_between_processes() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(BrokenDicom("code", "text")))
    assert (error.code, error.text) == ("code", "text")
