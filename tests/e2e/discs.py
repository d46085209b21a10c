"""CDs as they come from outside: images of patients with an index, among a viewer's programs and reports."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pycdlib import PyCdlib
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.fileset import FileSet
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


@dataclass(frozen=True)
class Patient:
    name: str
    patient_id: str
    birth_date: str
    sex: str
    study: str
    date: str
    images: int
    edge: int = 64


MORGAN = Patient("Morgan^Alexandra", "88-1203", "19620314", "F", "CT chest and abdomen", "20261102", 24)
OTHER = Patient("Ødegård^Sigrid", "7719", "19780930", "F", "CT head", "20261028", 6)


def write_images(folder: Path, patient: Patient, *, series: int = 2) -> list[Path]:
    """One study; its files in folders as discs have them."""
    study = generate_uid()
    written = []
    for number in range(patient.images):
        which = number % series + 1
        path = folder / f"S{which:03d}" / f"I{number:05d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        _instance(path, patient, study, which, number)
        written.append(path)
    return written


def _instance(path: Path, patient: Patient, study: str, series: int, number: int) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.StudyDate, dataset.StudyTime, dataset.Modality = patient.date, "101500", "CT"
    dataset.StudyDescription, dataset.SeriesDescription = patient.study, ["axial", "coronal"][series % 2]
    dataset.AccessionNumber, dataset.StudyID = "", "1"
    dataset.PatientName, dataset.PatientID = patient.name, patient.patient_id
    dataset.PatientBirthDate, dataset.PatientSex = patient.birth_date, patient.sex
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = f"{study[:60]}.{series}"
    dataset.SeriesNumber, dataset.InstanceNumber = series, number + 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = patient.edge
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    y, x = np.mgrid[0 : patient.edge, 0 : patient.edge] / patient.edge - 0.5
    body = np.where((x / 0.42) ** 2 + (y / 0.34) ** 2 < 1, 1040, 0)
    for side in (-0.18, 0.18):
        body = np.where(((x - side) / 0.13) ** 2 + (y / 0.2) ** 2 < 1, 180, body)
    spine = (x / 0.06) ** 2 + ((y - 0.2) / 0.06) ** 2 < 1
    image = np.where(spine, 1600, body) + np.random.default_rng(number).integers(0, 40, x.shape)
    dataset.PixelData = image.astype("<u2").tobytes()
    dataset.save_as(path, enforce_file_format=True)


def write_disc(folder: Path, patients: list[Patient]) -> Path:
    """A CD with its index, its viewer's programs, and a report at the top."""
    source = folder.with_name(folder.name + "-source")
    index = FileSet()
    for patient in patients:
        for path in write_images(source / patient.patient_id, patient):
            index.add(path)
    staging = [index._stage["t"]]
    index.write(folder)
    for left in {*staging, index._stage["t"]}:
        left.cleanup()
    for name, content in JUNK.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "Report.pdf").write_bytes(PDF)
    return folder


def write_iso(image: Path, folder: Path, *, joliet: bool = True) -> Path:
    """The folder as a burning program writes it: ISO 9660 names in capitals with their version (ECMA-119,
    7.5), and the true ones beside them as Joliet."""
    iso = PyCdlib()
    iso.new(interchange_level=3, joliet=3 if joliet else None)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        beside = {"joliet_path": f"/{name}"} if joliet else {}
        if path.is_dir():
            iso.add_directory(f"/{name.upper()}", **beside)
        else:
            dot = "" if path.suffix else "."
            iso.add_file(str(path), f"/{name.upper()}{dot};1", **beside)
    iso.write(str(image))
    iso.close()
    return image


JUNK = {
    "autorun.inf": b"[autorun]\r\nopen=VIEWER\\start.exe\r\n",
    "VIEWER/start.exe": b"MZ" + b"\0" * 4000,
    "VIEWER/lib/core.dll": b"MZ" + b"\1" * 4000,
    "VIEWER/help/index.html": b"<html><body>Help</body></html>",
    "VIEWER/help/logo.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 200,
    "README.TXT": b"Double-click start.exe to see the images.",
}
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)
