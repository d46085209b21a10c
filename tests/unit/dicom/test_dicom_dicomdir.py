"""Media directories."""

from io import BytesIO

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from kit.dicom.dicomdir import DICOMDIR, read_dicomdir
from kit.dicom.errors import BrokenDicom, NotDicom
from tests.unit.dicom.samples import CT, dataset, part10


def record(kind: str, **values: object) -> Dataset:
    made = Dataset()
    made.OffsetOfTheNextDirectoryRecord = 0
    made.RecordInUseFlag = 0xFFFF
    made.OffsetOfReferencedLowerLevelDirectoryEntity = 0
    made.DirectoryRecordType = kind
    for name, value in values.items():
        setattr(made, name, value)
    return made


def image(path: list[str], number: int) -> Dataset:
    return record(
        "IMAGE",
        ReferencedFileID=path,
        ReferencedSOPClassUIDInFile=CT,
        ReferencedSOPInstanceUIDInFile=f"1.2.3.4.{number}",
        ReferencedTransferSyntaxUIDInFile="1.2.840.10008.1.2.1",
    )


def directory(*paths: list[str], undefined: bool = False) -> bytes:
    made = Dataset()
    made.FileSetID = "DISC"
    made.DirectoryRecordSequence = Sequence(
        [record("PATIENT", PatientName="Doe^Jane"), *(image(path, n) for n, path in enumerate(paths, 1))]
    )
    made["DirectoryRecordSequence"].is_undefined_length = undefined
    made.SOPClassUID, made.SOPInstanceUID = DICOMDIR, "1.2.3"
    return part10(made)


@pytest.mark.parametrize("undefined", [True, False])
def test_files_are_listed(undefined: bool) -> None:
    data = directory(["IMAGES", "CT1"], ["IMAGES", "CT2"], undefined=undefined)
    first, second = read_dicomdir(BytesIO(data))
    assert first.file_id == ("IMAGES", "CT1")
    assert (second.sop_class_uid, second.sop_instance_uid) == (CT, "1.2.3.4.2")


def test_paths_are_text_alone() -> None:
    data = directory(["AA", "AA", "ETC"]).replace(b"AA\\AA\\ETC", b"..\\..\\etc")
    (listed,) = read_dicomdir(BytesIO(data))
    assert listed.file_id == ("..", "..", "etc")


def test_other_files_are_refused() -> None:
    for data in (b"", b"text", part10(dataset())):
        with pytest.raises(NotDicom):
            read_dicomdir(BytesIO(data))


def test_damaged_directories_are_refused() -> None:
    with pytest.raises(BrokenDicom):
        read_dicomdir(BytesIO(directory(["IMAGES", "CT1"])[:-100]))
