"""What is sent: studies, documents, what is broken and what is meant to harm, all made at run time."""

import io
import random
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom.uid import generate_uid

from anteroom.demo import study as demo
from bench.images import make_series
from tests.e2e.people import birth_date_of, name_of

_PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


@dataclass
class Parcel:
    """One folder to send. `files` stand in its manifest; `studies` says how many instances of each study
    are in it and clean."""

    kind: str
    folder: Path
    files: int
    studies: dict[str, int] = field(default_factory=dict)


Pack = Callable[[Path, str], dict[str, int]]
"""Fills the folder with things of the patient called by the label; returns the studies."""


def ct(folder: Path, label: str) -> dict[str, int]:
    """Eight slices, and the report, the broken image and the viewer that a disc brings along."""
    studies = _ct(folder, label, 8)
    (folder / "report.pdf").write_bytes(_PDF)
    (folder / "broken.dcm").write_bytes((folder / "IM000000").read_bytes()[:600])
    (folder / "viewer.exe").write_bytes(b"MZ" + label.encode() * 40)
    return studies


def mr(folder: Path, label: str) -> dict[str, int]:
    """Five slices of the demo's study as another patient's."""
    study, series = generate_uid(), generate_uid()
    for path in demo.files()[:5]:
        image = pydicom.dcmread(path)
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.PatientName, image.PatientBirthDate = name_of(label), birth_date_of(label)
        image.PatientID, image.PatientSex = f"X{label}", "F"
        image.save_as(folder / path.name, enforce_file_format=True)
    return {study: 5}


def zipped(folder: Path, label: str) -> dict[str, int]:
    """A study and a report in one ZIP."""
    inside = folder / "inside"
    studies = _ct(inside, label, 4)
    with zipfile.ZipFile(folder / "disc.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(inside.iterdir()):
            archive.write(path, f"DICOM/{path.name}")
            path.unlink()
        archive.writestr("report.pdf", _PDF)
    inside.rmdir()
    return studies


def documents(folder: Path, label: str) -> dict[str, int]:
    """Reports alone."""
    for number in range(3):
        (folder / f"letter-{number}.pdf").write_bytes(_PDF + f"% {label} {number}\n".encode())
    return {}


def hostile(folder: Path, label: str) -> dict[str, int]:
    """Two clean slices, and among them what wants to fill disks, climb out of folders, and be run."""
    studies = _ct(folder, label, 2)
    image = (folder / "IM000001").read_bytes()
    (folder / "IM000001").write_bytes(b"MZ" + b"\x90" * 126 + image[128:])
    (folder / "lies.dcm").write_bytes(image[:400] + b"\x10\x00\x30\x00UN\x00\x00\xf0\xff\xff\xff" + b"?" * 50)
    (folder / "noise.bin").write_bytes(random.Random(label).randbytes(5000))
    _zip(folder / "bomb.zip", {"zeros.dcm": b"\0" * (8 << 20)})
    _zip(folder / "climbs.zip", {"../../up.pdf": _PDF, "/etc/absolute.pdf": _PDF, "C:\\windows.pdf": _PDF})
    (folder / "torn.zip").write_bytes((folder / "climbs.zip").read_bytes()[:-30])
    nested = _PDF
    for depth in range(5):
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as archive:
            archive.writestr(f"level-{depth}.zip" if depth else "deep.pdf", nested)
        nested = inner.getvalue()
    (folder / "nested.zip").write_bytes(nested)
    with tarfile.open(folder / "links.tar", "w") as tar:
        link = tarfile.TarInfo("link.pdf")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        device = tarfile.TarInfo("device.dcm")
        device.type = tarfile.CHRTYPE
        tar.addfile(device)
        plain = tarfile.TarInfo("plain.pdf")
        plain.size = len(_PDF)
        tar.addfile(plain, io.BytesIO(_PDF))
    return studies


KINDS: dict[str, Pack] = {"ct": ct, "mr": mr, "zipped": zipped, "documents": documents, "hostile": hostile}


def parcel(kind: str, root: Path, label: str) -> Parcel:
    folder = root / label
    folder.mkdir(parents=True)
    studies = KINDS[kind](folder, label)
    return Parcel(kind, folder, sum(path.is_file() for path in folder.rglob("*")), studies)


def images(folder: Path, label: str, count: int) -> tuple[str, list[Path]]:
    """A study for the DICOM door: its UID and files."""
    studies = _ct(folder, label, count)
    return next(iter(studies)), sorted(folder.iterdir())


def _ct(folder: Path, label: str, count: int) -> dict[str, int]:
    series = make_series(folder, count, side=64, patient=f"X{label}")
    for path in series.files:
        data = pydicom.dcmread(path)
        data.PatientName, data.PatientBirthDate = name_of(label), birth_date_of(label)
        data.save_as(path)
    return {series.study_uid: count}


def _zip(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
