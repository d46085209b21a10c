"""The DICOMDIR is read back by pydicom, as any workstation reads a disc."""

import io

from pydicom import dcmread

from services.view.rules.directory import Record, keys_of, record_kind, write_directory
from services.view.rules.looking import image_of, in_order

HEADER = {
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Ødegård^Sigrid", "Ideographic": "田中^宏"}]},
    "00100020": {"vr": "LO", "Value": ["88-1203"]},
    "00080020": {"vr": "DA", "Value": ["20261102"]},
    "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
    "0020000E": {"vr": "UI", "Value": ["1.2.3.4"]},
    "00200011": {"vr": "IS", "Value": [2]},
    "00080060": {"vr": "CS", "Value": ["CT"]},
}


def _tree(series: int, images: int) -> Record:
    study = Record(
        "STUDY",
        keys_of(HEADER, ((0x0020000D, "UI"), (0x00080020, "DA"), (0x00080030, "TM"), (0x00200010, "SH"))),
    )
    for s in range(series):
        of = Record(
            "SERIES",
            {**keys_of(HEADER, ((0x00080060, "CS"), (0x00200011, "IS"))), 0x0020000E: ("UI", f"1.2.{s + 1}")},
        )
        of.below = [
            Record(
                "IMAGE",
                {0x00200013: ("IS", str(n))},
                ("DICOM", f"S{s:07d}", f"I{n:07d}"),
                "1.2.840.10008.5.1.4.1.1.2",
                f"1.2.{s + 1}.{n + 1}",
                "1.2.840.10008.1.2.1",
            )
            for n in range(images)
        ]
        study.below.append(of)
    return Record("PATIENT", keys_of(HEADER, ((0x00100010, "PN"), (0x00100020, "LO"))), below=[study])


def test_pydicom_reads_the_directory_back():
    data = write_directory(_tree(2, 3), "2.25.77")
    read = dcmread(io.BytesIO(data))
    assert read.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.1.3.10"
    records = read.DirectoryRecordSequence
    assert [r.DirectoryRecordType for r in records] == [
        "PATIENT",
        "STUDY",
        "SERIES",
        *["IMAGE"] * 3,
        "SERIES",
        *["IMAGE"] * 3,
    ]
    assert str(records[0].PatientName) == "Ødegård^Sigrid=田中^宏"


def test_offsets_point_at_items():
    data = write_directory(_tree(3, 2), "2.25.77")
    read = dcmread(io.BytesIO(data))
    for record in read.DirectoryRecordSequence:
        for offset in (
            record.OffsetOfTheNextDirectoryRecord,
            record.OffsetOfReferencedLowerLevelDirectoryEntity,
        ):
            assert offset == 0 or data[offset : offset + 4] == b"\xfe\xff\x00\xe0"


def test_kinds_of_records():
    assert record_kind("1.2.840.10008.5.1.4.1.1.88.33") == "SR DOCUMENT"
    assert record_kind("1.2.840.10008.5.1.4.1.1.104.1") == "ENCAP DOC"
    assert record_kind("1.2.840.10008.5.1.4.1.1.4") == "IMAGE"


def _image(number: int, z: float) -> dict:
    header = {
        "00200013": {"vr": "IS", "Value": [number]},
        "00200032": {"vr": "DS", "Value": [0, 0, z]},
        "00200037": {"vr": "DS", "Value": [1, 0, 0, 0, 1, 0]},
        "00280004": {"vr": "CS", "Value": ["MONOCHROME2"]},
        "00280100": {"vr": "US", "Value": [16]},
        "00281050": {"vr": "DS", "Value": [40, 400]},
    }
    return image_of(header, uid=str(number), syntax="1.2.840.10008.1.2.1", frames=1)


def test_slices_lie_along_their_normal_else_by_number():
    assert [i["uid"] for i in in_order([_image(1, 9), _image(2, 3), _image(3, 6)])] == ["2", "3", "1"]
    assert [i["uid"] for i in in_order([_image(3, 1), _image(1, 1), _image(2, 1)])] == ["1", "2", "3"]


def test_what_the_browser_draws_by_itself():
    assert _image(1, 0)["raw"] is True
    odd = image_of(
        {"00281053": {"Value": ["x"]}, "00280030": {"Value": [0, 1]}},
        uid="1",
        syntax="1.2.840.10008.1.2.4.50",
        frames=1,
    )
    assert (odd["raw"], odd["slope"], odd["aspect"]) == (False, 1.0, 1.0)
