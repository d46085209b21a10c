"""Synthetic CT images of 512×512×16 bit, fresh UIDs for every run, about 0.5 MB each."""

import io
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

_SERIES_MARK = "2.25.1000000000000000000000000000000000001"
_STUDY_MARK = "2.25.1000000000000000000000000000000000002"
_INSTANCE_MARK = "2.25.1000000000000000000000000000000000003"


@dataclass(frozen=True)
class Series:
    study_uid: str
    files: list[Path]
    bytes: int


def make_series(folder: Path, count: int, *, side: int = 512, patient: str = "BENCH") -> Series:
    """Write one series of `count` images. Pixels differ from image to image."""
    folder.mkdir(parents=True, exist_ok=True)
    template = _template(side, patient)
    pixels = np.random.default_rng(7).integers(0, 4096, side * side + count, dtype=np.uint16)
    study, series = _uid(), _uid()
    files, total = [], 0
    for number in range(count):
        head = (
            template.replace(_STUDY_MARK.encode(), study.encode())
            .replace(_SERIES_MARK.encode(), series.encode())
            .replace(_INSTANCE_MARK.encode(), _uid().encode())
            .replace(b"99999 ", f"{number + 1:<6}".encode())
        )
        path = folder / f"IM{number:06}"
        with path.open("wb") as file:
            file.write(head)
            file.write(pixels[number : number + side * side].tobytes())
            total += file.tell()
        files.append(path)
    return Series(study, files, total)


def _uid() -> str:
    """A UID of the same length as the marks."""
    return f"2.25.{random.randrange(10**36, 10**37)}"


def _template(side: int, patient: str) -> bytes:
    """A typical CT header up to the pixel data's length field."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = _INSTANCE_MARK
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, _INSTANCE_MARK
    ds.StudyInstanceUID, ds.SeriesInstanceUID = _STUDY_MARK, _SERIES_MARK
    ds.FrameOfReferenceUID = _SERIES_MARK
    for name in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(ds, name, "20260301")
    for name in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(ds, name, "101500.000000")
    ds.AccessionNumber, ds.Modality, ds.Manufacturer = "BENCH1", "CT", "Bench"
    ds.InstitutionName, ds.StationName, ds.ManufacturerModelName = "Bench Hospital", "CT1", "Model 1"
    ds.ReferringPhysicianName, ds.StudyDescription, ds.SeriesDescription = (
        "Bench^Doctor",
        "CT chest",
        "1.0 B30f",
    )
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = (
        "Bench^Patient",
        patient,
        "19700102",
        "F",
    )
    ds.BodyPartExamined, ds.SliceThickness, ds.KVP = "CHEST", "1.0", "120"
    ds.DataCollectionDiameter, ds.SoftwareVersions, ds.ProtocolName = "500", "syngo", "Chest"
    ds.ReconstructionDiameter, ds.GantryDetectorTilt, ds.TableHeight = "350", "0", "150"
    ds.RotationDirection, ds.ExposureTime, ds.XRayTubeCurrent, ds.Exposure = "CW", "500", "200", "100"
    ds.FilterType, ds.GeneratorPower, ds.FocalSpots, ds.ConvolutionKernel = "0", "24", "1.2", "B30f"
    ds.PatientPosition, ds.StudyID, ds.SeriesNumber = "HFS", "1", "2"
    ds.InstanceNumber = "99999"
    ds.ImagePositionPatient = [-175.0, -175.0, 0.0]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.SliceLocation = "0"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = side
    ds.PixelSpacing = [0.68, 0.68]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth, ds.RescaleIntercept, ds.RescaleSlope = "40", "400", "-1024", "1"
    block = ds.private_block(0x0029, "BENCH PRIVATE", create=True)
    for element in range(0x10, 0x40):
        block.add_new(element, "LO", f"private value {element}")
    ds.PixelData = b"\0\0" * (side * side)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()[: -2 * side * side]
