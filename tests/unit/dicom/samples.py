"""Data sets made by pydicom at run time, and their bytes."""

from io import BytesIO
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from kit.dicom.instance import Instance, read_instance

CT = "1.2.840.10008.5.1.4.1.1.2"
US_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"


def dataset(**values: Any) -> Dataset:
    """A small CT image of 4×6 pixels."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 100"
    made.SOPClassUID = CT
    made.SOPInstanceUID = "1.2.3.4.1"
    made.StudyInstanceUID = "1.2.3.4"
    made.SeriesInstanceUID = "1.2.3.4.5"
    made.StudyDate = "20250102"
    made.StudyTime = "101112"
    made.Modality = "CT"
    made.AccessionNumber = "FOREIGN1"
    made.PatientName = "Müller^Jürgen"
    made.PatientID = "F-17"
    made.PatientBirthDate = "19600203"
    made.PatientSex = "M"
    made.StudyID = "S1"
    made.SeriesNumber = 3
    made.InstanceNumber = 7
    made.SliceThickness = "1.5"
    made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    item = Dataset()
    item.CodeValue = "T-1"
    item.CodeMeaning = "Schädel"
    made.ProcedureCodeSequence = Sequence([item])
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.Rows, made.Columns = 4, 6
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelRepresentation = 0
    made.PixelData = np.arange(24, dtype="<u2").tobytes()
    made["PixelData"].VR = "OW"
    for name, value in values.items():
        setattr(made, name, value)
    return made


def part10(made: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = made.get("SOPClassUID", CT)
    made.file_meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID", "1.2.3.4.1")
    out = BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue()


def bare(made: Dataset, *, implicit: bool) -> bytes:
    """The data set alone, without preamble and meta header."""
    out = BytesIO()
    plain = Dataset(made)
    plain.save_as(out, implicit_vr=implicit, little_endian=True)
    return out.getvalue()


def implicit10(made: Dataset) -> bytes:
    return part10(made, ImplicitVRLittleEndian)


def encapsulated(fragments: list[bytes], *, frames: int | None = None, **values: Any) -> Dataset:
    """A JPEG-syntax image of the fragments, without a meaningful picture."""
    made = dataset(BitsAllocated=8, BitsStored=8, HighBit=7, **values)
    if frames is not None:
        made.NumberOfFrames = frames
    made.PixelData = encapsulate(fragments, has_bot=False)
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    return made


def read(data: bytes) -> Instance:
    return read_instance(BytesIO(data), len(data))


def codes(instance: Instance) -> set[str]:
    return {finding.code for finding in instance.findings}


def stored(instance: Instance, data: bytes) -> bytes:
    """The Part 10 file the pieces make."""
    if instance.source is not None:
        instance.source.seek(0)
        data = instance.source.read()
    made = b"".join(
        piece if isinstance(piece, bytes) else data[piece.offset : piece.offset + piece.length]
        for piece in instance.pieces
    )
    assert len(made) == instance.size
    return made


def frame(instance: Instance, made: bytes, number: int) -> bytes:
    return b"".join(made[s.offset : s.offset + s.length] for s in instance.frames.spans(number))
