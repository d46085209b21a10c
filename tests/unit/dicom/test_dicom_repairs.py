"""What is wrong and may be put right is put right, and said; the rest is refused in plain words."""

import zlib
from io import BytesIO
from struct import pack

import orjson
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from kit.dicom.errors import BrokenDicom
from kit.dicom.instance import Instance
from tests.unit.dicom.samples import (
    bare,
    codes,
    dataset,
    encapsulated,
    frame,
    implicit10,
    part10,
    read,
    stored,
)

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"


def reread(data: bytes) -> tuple[Instance, pydicom.Dataset]:
    """Read, and check that what is stored is a file without further trouble, the same to pydicom."""
    instance = read(data)
    made = stored(instance, data)
    again = read(made)
    assert {f.code for f in again.findings if f.action == "repaired"} == set()
    assert again.sop_instance_uid == instance.sop_instance_uid
    assert (again.header_end, again.pixel_end, again.dataset_offset) == (
        instance.header_end,
        instance.pixel_end,
        instance.dataset_offset,
    )
    assert again.frames == instance.frames
    return instance, pydicom.dcmread(BytesIO(made))


@pytest.mark.parametrize(
    "head",
    [
        b"MZ\x90\0",
        b"\x7fELF",
        b"\xcf\xfa\xed\xfe",
        b"#!/bin/sh\n",
        b"<html><script>",
        b"%PDF-1.7",
        b"PK\x03\x04",
    ],
)
def test_a_program_in_the_preamble_is_erased(head: bytes) -> None:
    data = head.ljust(128, b"x") + part10(dataset())[128:]
    instance, made = reread(data)
    assert codes(instance) == {"preamble-executable"}
    assert instance.needs_person
    assert stored(instance, data)[:132] == b"\0" * 128 + b"DICM"
    assert stored(instance, data)[132:] == data[132:]
    assert made.PatientID == "F-17"


def test_markup_anywhere_in_the_preamble_is_erased() -> None:
    data = b"GIF89a/*" + b" " * 40 + b"*/=1;<SCRIPT>".ljust(80) + part10(dataset())[128:]
    assert codes(read(data)) == {"preamble-executable"}


def test_a_tiff_preamble_is_kept_on_whole_slides_alone() -> None:
    tiff = b"II*\0".ljust(128, b"\1")
    slide = tiff + part10(dataset(SOPClassUID=WHOLE_SLIDE))[128:]
    assert stored(read(slide), slide) == slide
    other = tiff + part10(dataset())[128:]
    instance, _ = reread(other)
    assert codes(instance) == {"preamble-tiff"}
    assert not instance.needs_person


def test_other_preambles_are_cleared() -> None:
    data = b"abc".ljust(128, b"\0") + part10(dataset())[128:]
    assert codes(reread(data)[0]) == {"preamble-cleared"}


@pytest.mark.parametrize("implicit", [True, False])
def test_missing_preamble_and_meta_header(implicit: bool) -> None:
    instance, made = reread(bare(dataset(), implicit=implicit))
    assert codes(instance) == {"preamble-missing", "syntax-guessed"}
    assert instance.transfer_syntax == (ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)
    assert made.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.1"
    assert made.PatientName == "Müller^Jürgen"


def test_missing_preamble_alone() -> None:
    data = part10(dataset())
    for cut in (data[128:], data[132:]):
        instance, made = reread(cut)
        assert "preamble-missing" in codes(instance)
        assert made.PatientID == "F-17"


def test_wrong_meta_length() -> None:
    data = bytearray(part10(dataset()))
    data[140:144] = pack("<I", 7)
    instance, _ = reread(bytes(data))
    assert codes(instance) == {"meta-rebuilt"}


def test_missing_meta_elements() -> None:
    data = part10(dataset())
    start = data.index(b"\x02\0\x10\0UI")
    length = int.from_bytes(data[start + 6 : start + 8], "little")
    instance, _ = reread(data[:start] + data[start + 8 + length :])
    assert codes(instance) == {"meta-rebuilt", "syntax-guessed"}


def test_meta_header_naming_another_instance() -> None:
    made = dataset()
    data = part10(made).replace(b"1.2.3.4.1\0", b"1.2.3.4.9\0", 1)
    instance, again = reread(data)
    assert "uid-differs" in codes(instance)
    assert instance.sop_instance_uid == again.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.1"


@pytest.mark.parametrize(
    ("syntax", "implicit"), [(ExplicitVRLittleEndian, True), (ImplicitVRLittleEndian, False)]
)
def test_explicit_and_implicit_mixed_up(syntax: str, implicit: bool) -> None:
    made = dataset()
    body = bare(made, implicit=implicit)
    whole = part10(made, syntax)
    instance, again = reread(whole[: read(whole).dataset_offset] + body)
    assert codes(instance) == {"syntax-wrong", "meta-rebuilt"}
    assert again.file_meta.TransferSyntaxUID != syntax
    assert again.PatientID == "F-17"


def test_wrong_and_empty_group_lengths() -> None:
    data = part10(dataset())
    start, end = data.index(b"\x10\0\x10\0PN"), data.index(b"\x18\0\x50\0DS")
    right = pack("<HH2sHI", 0x10, 0, b"UL", 4, end - start)
    wrong = pack("<HH2sHI", 0x10, 0, b"UL", 4, 4711)
    instance, _ = reread(data[:start] + wrong + data[start:])
    assert codes(instance) == {"group-length"}
    assert stored(instance, data[:start] + wrong + data[start:]) == data[:start] + right + data[start:]
    assert codes(read(data[:start] + right + data[start:])) == set()


def odd_inside(length: int | None) -> bytes:
    """An explicit data set whose sequence item holds a value of odd length, and one at the top."""
    code = pack("<HH2sH", 8, 0x100, b"SH", 3) + b"ABC"
    meaning = pack("<HH2sH", 8, 0x104, b"LO", 4) + b"Text"
    content = code + meaning
    if length is None:
        item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + content + b"\xfe\xff\x0d\xe0\0\0\0\0"
        sequence = pack("<HH2sHI", 8, 0x1032, b"SQ", 0, 0xFFFFFFFF) + item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    else:
        item = b"\xfe\xff\x00\xe0" + pack("<I", len(content)) + content
        sequence = pack("<HH2sHI", 8, 0x1032, b"SQ", 0, len(item)) + item
    made = dataset()
    del made.ProcedureCodeSequence
    data = part10(made)
    place = data.index(b"\x10\0\x10\0PN")
    data = data[:place] + sequence + data[place:]
    return data.replace(b"\x10\0\x20\0LO\x04\0F-17", b"\x10\0\x20\0LO\x03\0F-1")


@pytest.mark.parametrize("length", [None, 1])
def test_odd_lengths_are_evened_out(length: int | None) -> None:
    instance, again = reread(odd_inside(length))
    assert codes(instance) == {"odd-length"}
    assert instance.patient.patient_id == again.PatientID == "F-1"
    assert again.ProcedureCodeSequence[0].CodeValue == "ABC"
    assert again.ProcedureCodeSequence[0].CodeMeaning == "Text"
    assert again.PixelData == dataset().PixelData


def test_odd_pixel_data_is_padded() -> None:
    made = dataset(Rows=3, Columns=3, BitsAllocated=8, BitsStored=8, HighBit=7)
    data = part10(made)
    place = data.index(b"\xe0\x7f\x10\0")
    data = data[:place] + pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 9) + b"123456789"
    instance, again = reread(data)
    assert codes(instance) == {"odd-length"}
    assert again.PixelData == b"123456789\0"
    assert frame(instance, stored(instance, data), 0) == b"123456789"


def test_a_missing_vr_is_put_in() -> None:
    data = part10(dataset())
    place = data.index(b"\x10\0\x20\0LO\x04\0F-17")
    instance, again = reread(data[:place] + b"\x10\0\x20\0\x04\0\0\0F-17" + data[place + 12 :])
    assert codes(instance) == {"vr-missing"}
    assert again.PatientID == "F-17"


def test_unknown_vrs_are_kept() -> None:
    data = part10(dataset())
    place = data.index(b"\x10\0\x10\0PN")
    extra = pack("<HH2sHI", 9, 0x10, b"ZZ", 0, 4) + b"abcd"
    data = data[:place] + extra + data[place:]
    instance = read(data)
    assert codes(instance) == {"vr-unknown"}
    assert stored(instance, data) == data


def test_trailing_bytes_are_dropped() -> None:
    good = part10(dataset())
    for junk in (b"\0" * 700, b"\n", b"left over bytes of something else \x12\x34" * 5):
        instance, _ = reread(good + junk)
        assert codes(instance) == {"trailing-bytes"}
        assert stored(instance, good + junk) == good


def test_a_missing_end_of_fragments_is_added() -> None:
    data = part10(encapsulated([b"\xff\xd8\xff\xe0ab"], frames=1), JPEGBaseline8Bit)
    assert data.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")
    instance, _ = reread(data[:-8])
    assert codes(instance) == {"delimiter-missing"}
    assert stored(instance, data[:-8]) == data


@pytest.mark.parametrize("implicit", [True, False])
def test_values_in_disorder_are_put_in_order(implicit: bool) -> None:
    data = implicit10(dataset()) if implicit else part10(dataset())
    start = read(data).dataset_offset
    name, birth = data.index(b"\x10\0\x10\0"), data.index(b"\x10\0\x30\0")
    moved = data[:start] + data[name:birth] + data[start:name] + data[birth:]
    instance, again = reread(moved)
    assert codes(instance) == {"elements-disordered"}
    assert stored(instance, moved)[instance.dataset_offset :] != moved[start:]
    assert again == pydicom.dcmread(BytesIO(data))


def test_of_values_given_twice_the_first_counts() -> None:
    data = part10(dataset())
    birth = data.index(b"\x10\0\x30\0")
    second = pack("<HH2sH", 0x10, 0x20, b"LO", 6) + b"SECOND"
    for place in (birth, len(data)):
        instance, again = reread(data[:place] + second + data[place:])
        assert codes(instance) == {"elements-repeated"}
        assert instance.needs_person
        assert instance.patient.patient_id == again.PatientID == "F-17"


def test_meta_elements_among_the_data_are_left_out() -> None:
    data = part10(dataset())
    start = read(data).dataset_offset
    stray = pack("<HH2sH", 6, 0x10, b"SH", 2) + b"A "
    instance, again = reread(data[:start] + stray + data[start:])
    assert codes(instance) == {"stray-elements"}
    assert 0x00060010 not in again


def test_deflated_becomes_explicit() -> None:
    made = dataset()
    data = part10(made, DeflatedExplicitVRLittleEndian)
    instance, again = reread(data)
    assert codes(instance) == {"deflated"}
    assert instance.transfer_syntax == ExplicitVRLittleEndian
    assert again.PixelData == dataset().PixelData
    assert again.PatientName == "Müller^Jürgen"


def test_big_endian_becomes_explicit_little_endian() -> None:
    made = dataset(FrameIncrementPointer=0x00181063)
    made.add_new(0x00189073, "FD", 2.5)
    made.PixelData = b"".join(pack(">H", n) for n in range(24))
    instance, again = reread(part10(made, ExplicitVRBigEndian))
    assert codes(instance) == {"big-endian"}
    assert again.PixelData == b"".join(pack("<H", n) for n in range(24))
    assert again[0x00189073].value == 2.5
    assert again.FrameIncrementPointer == 0x00181063
    assert again.ProcedureCodeSequence[0].CodeMeaning == "Schädel"
    assert (again.Rows, again.Columns) == (4, 6)


def test_encapsulated_in_an_implicit_data_set() -> None:
    made = encapsulated([b"\xff\xd8\xff\xe0ab"], frames=1)
    whole = part10(made, JPEGBaseline8Bit)
    head = whole[: read(whole).dataset_offset]
    del made.PixelData
    body = bare(made, implicit=True) + b"\xe0\x7f\x10\0\xff\xff\xff\xff" + whole[-30:]
    body = (
        body[:-30]
        + b"\xfe\xff\x00\xe0\0\0\0\0"
        + b"\xfe\xff\x00\xe0\x06\0\0\0\xff\xd8\xff\xe0ab"
        + b"\xfe\xff\xdd\xe0\0\0\0\0"
    )
    instance, again = reread(head + body)
    assert "syntax-wrong" in codes(instance)
    assert again.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert frame(instance, stored(instance, head + body), 0) == b"\xff\xd8\xff\xe0ab"


def test_native_pixels_called_compressed() -> None:
    instance, again = reread(
        part10(dataset(), ExplicitVRLittleEndian).replace(
            b"\x02\0\x10\0UI\x14\0001.2.840.10008.1.2.1\0", b"\x02\0\x10\0UI\x16\0001.2.840.10008.1.2.4.50"
        )
    )
    assert {"syntax-wrong"} <= codes(instance)
    assert again.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_less_pixel_data_than_announced() -> None:
    instance = read(part10(dataset(NumberOfFrames=3)))
    assert codes(instance) == {"pixel-data-short"}
    assert instance.frames.count == 1


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID"])
def test_a_uid_of_the_meta_header_is_copied(keyword: str) -> None:
    made = dataset()
    value = made[keyword].value
    whole = part10(made)
    del made[keyword]
    for implicit in (False, True):
        body = bare(made, implicit=implicit)
        instance, again = reread(whole[: read(whole).dataset_offset] + body)
        assert "uid-from-meta" in codes(instance)
        assert again[keyword].value == value


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_missing_uids_are_refused(keyword: str) -> None:
    made = dataset()
    setattr(made, keyword, "")
    with pytest.raises(BrokenDicom) as caught:
        read(part10(made))
    assert caught.value.code == "uid-missing"
    assert "Export it again" in caught.value.text


@pytest.mark.parametrize("value", ["../../etc", "1.2 3", "..", "1.2.3\\1.2.4", "é", "1" * 65])
def test_unusable_uids_are_refused(value: str) -> None:
    data = part10(dataset())
    raw = value.encode("latin_1")
    raw += b"\0" * (len(raw) % 2)
    data = data.replace(b"\x20\0\x0d\0UI\x08\x001.2.3.4\0", b"\x20\0\x0d\0UI" + pack("<H", len(raw)) + raw)
    with pytest.raises(BrokenDicom) as caught:
        read(data)
    assert caught.value.code == "uid-unusable"


def test_odd_uids_are_kept_with_a_finding() -> None:
    for value, code, person in (("1.02.3", "uid-zeros", False), ("1.2.abc", "uid-invalid", True)):
        data = part10(dataset()).replace(
            b"\x20\0\x0d\0UI\x08\x001.2.3.4\0", b"\x20\0\x0d\0UI\x08\0" + value.encode().ljust(8, b"\0")
        )
        instance = read(data)
        assert codes(instance) == {code}
        assert instance.study_instance_uid == value
        assert instance.needs_person is person


def test_blanks_around_uids_are_removed() -> None:
    data = part10(dataset()).replace(b"UI\x08\x001.2.3.4\0", b"UI\x08\x001.2.3.4 ", 1)
    instance, again = reread(data)
    assert codes(instance) == {"uid-padding"}
    assert again.StudyInstanceUID == "1.2.3.4"


@pytest.mark.parametrize("cut", [3, 20, 47])
def test_truncated_pixel_data_says_how_much_is_missing(cut: int) -> None:
    with pytest.raises(BrokenDicom) as caught:
        read(part10(dataset())[:-cut])
    assert caught.value.code == "truncated"
    assert f"{cut} bytes are missing" in caught.value.text


def outcome(data: bytes) -> set[str]:
    """Codes of the findings, or of the refusal."""
    try:
        return codes(read(data))
    except BrokenDicom as error:
        return {error.code}


def test_truncated_anywhere_is_refused() -> None:
    data = part10(
        encapsulated([b"\xff\xd8\xff\xe0abcd", b"\xff\xd8\xff\xe0efgh"], frames=2), JPEGBaseline8Bit
    )
    described = data.index(b"\x28\0\x00\x01US") + 10
    assert described > read(data).dataset_offset
    for cut in range(described, len(data) - 8):
        found = outcome(data[:cut])
        # where whole elements are left, the image itself is what is missing
        assert found & {"truncated", "structure", "uid-missing", "pixel-data-missing", "frames-unclear"}, cut


def test_a_deflate_bomb_is_refused() -> None:
    made = dataset()
    whole = part10(made, DeflatedExplicitVRLittleEndian)
    engine = zlib.compressobj(9, wbits=-15)
    bomb = b"".join([*(engine.compress(b"\0" * (1 << 20)) for _ in range(90)), engine.flush()])
    with pytest.raises(BrokenDicom) as caught:
        read(whole[: _meta_end(whole)] + bomb)
    assert caught.value.code in ("deflate-bomb", "too-many-elements")


def _meta_end(data: bytes) -> int:
    return 144 + int.from_bytes(data[140:144], "little")


def test_damaged_deflate_is_refused() -> None:
    data = bytearray(part10(dataset(), DeflatedExplicitVRLittleEndian))
    end = _meta_end(bytes(data))
    data[end : end + 8] = b"\xff" * 8
    with pytest.raises(BrokenDicom) as caught:
        read(bytes(data))
    assert caught.value.code in ("deflate-broken", "truncated")


def nested(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0\0\0\0\0"
        inner = pack("<HH2sHI", 8, 0x1032, b"SQ", 0, 0xFFFFFFFF) + item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    return inner


def test_bottomless_nesting_is_refused() -> None:
    data = part10(dataset())
    place = data.index(b"\x10\0\x10\0PN")
    with pytest.raises(BrokenDicom) as caught:
        read(data[:place] + nested(500) + data[place:])
    assert caught.value.code == "too-deep"


def test_hostile_lengths_allocate_nothing() -> None:
    data = part10(dataset())
    for vr, tag in ((b"OB", 0x1010), (b"UT", 0x1011), (b"SQ", 0x1012), (b"UN", 0x1013)):
        place = data.index(b"\x10\0\x10\0PN")
        hostile = data[:place] + pack("<HH2sHI", 9, tag, vr, 0, 0xFFFFFFF0) + data[place:]
        with pytest.raises(BrokenDicom) as caught:
            read(hostile)
        assert caught.value.code in ("truncated", "structure")


@pytest.mark.parametrize(
    ("charset", "raw", "name", "code"),
    [
        ("", "Grün^Ä".encode(), "Grün^Ä", "charset-missing"),
        ("", "Grün^Ä".encode("latin_1"), "Grün^Ä", "charset-missing"),
        ("ISO_IR 192", "Grün^Ä".encode("latin_1"), "Gr\ufffdn^\ufffd", "charset-broken"),
        ("KLINGON", b"Qapla", "Qapla", "charset-unknown"),
    ],
)
def test_character_sets_that_do_not_fit(charset: str, raw: bytes, name: str, code: str) -> None:
    made = dataset(PatientName="XXXX", SpecificCharacterSet="ISO_IR 100")
    del made.ProcedureCodeSequence
    data = part10(made)
    raw += b" " * (len(raw) % 2)
    term = charset.encode() + b" " * (len(charset) % 2)
    data = data.replace(b"PN\x04\0XXXX", b"PN" + pack("<H", len(raw)) + raw)
    data = data.replace(b"CS\x0a\0ISO_IR 100", b"CS" + pack("<H", len(term)) + term)
    instance = read(data)
    assert code in codes(instance)
    assert instance.patient.name == name
    assert orjson.loads(instance.json)["00100010"]["Value"][0]["Alphabetic"] == name
