"""Files made at run time: batches, DICOM instances, hostile samples."""

import io
import tarfile
from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian


def batch_tar(members: Sequence[tuple[int, str, bytes]]) -> bytes:
    """A batch as a client makes it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for ordinal, path, data in members:
            info = tarfile.TarInfo(f"{ordinal}/{path}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def dicom(study: str = "1.2.3", number: int = 1, *, pixels: bytes = b"\1\2\3\4", **attributes: Any) -> bytes:
    """A small CT image of the study; `number` makes its UIDs."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = CTImageStorage
    data.SOPInstanceUID = f"{study}.9.{number}"
    data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.StudyInstanceUID = study
    data.SeriesInstanceUID = f"{study}.1"
    data.PatientName = "Doe^Jane"
    data.PatientID = "P1"
    data.PatientBirthDate = "19700101"
    data.PatientSex = "F"
    data.Modality = "CT"
    data.StudyDate = "20240101"
    data.InstanceNumber = number
    data.Rows = 1
    data.Columns = 2
    data.BitsAllocated = 16
    data.BitsStored = 16
    data.HighBit = 15
    data.PixelRepresentation = 0
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.PixelData = pixels
    for name, value in attributes.items():
        setattr(data, name, value)
    out = io.BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()
