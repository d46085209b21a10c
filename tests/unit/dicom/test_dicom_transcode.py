"""Stored instances brought into uncompressed transfer syntaxes."""

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from kit.dicom.errors import BrokenDicom
from kit.dicom.transcode import transcode
from kit.objects.files import FileObjects
from tests.unit.dicom.packing import KEY, content, packed
from tests.unit.dicom.samples import dataset, encapsulated, implicit10, part10, read

BOTH = [ImplicitVRLittleEndian, ExplicitVRLittleEndian]


def rle(frames: int = 3) -> tuple[bytes, np.ndarray]:
    pixels = np.random.default_rng(1).integers(0, 4000, (frames, 4, 6), dtype="<u2")
    made = dataset(NumberOfFrames=frames, PixelData=pixels.tobytes())
    made.add_new(0xFFFCFFFC, "OB", b"\0" * 6)
    part10(made)
    made.compress(RLELossless, generate_instance_uid=False)
    out = BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue(), pixels


@pytest.mark.parametrize("syntax", BOTH)
def test_frames_are_decoded_one_by_one(tmp_path: Path, syntax: str) -> None:
    data, pixels = rle()
    objects = FileObjects(tmp_path / "objects")
    entry = packed(objects, [data]).entries[0]
    path = tmp_path / "out"
    made = transcode(objects, KEY, entry, syntax, path)
    found = path.read_bytes()
    again = pydicom.dcmread(BytesIO(found))
    assert again.file_meta.TransferSyntaxUID == syntax == made.transfer_syntax
    assert np.array_equal(again.pixel_array, pixels)
    assert again.PatientName == "Müller^Jürgen"
    assert again.SOPInstanceUID == entry.sop_instance_uid
    assert again[0xFFFCFFFC].value == b"\0" * 6
    instance = read(found)
    assert (instance.header_end, instance.pixel_end, instance.frames, instance.size) == (
        made.header_end,
        made.pixel_end,
        made.frames,
        made.length,
    )
    assert made.sha256 == hashlib.sha256(found[made.dataset_offset :]).hexdigest()


@pytest.mark.parametrize(("write", "syntax"), [(part10, BOTH[0]), (implicit10, BOTH[1])])
def test_headers_are_encoded_the_other_way(tmp_path: Path, write, syntax: str) -> None:
    item = Dataset()
    item.add_new(0x00280106, "SS", -4)
    made = dataset(PixelRepresentation=1, VOILUTSequence=Sequence([item]))
    made.add_new(0x00280106, "SS", -5)
    data = write(made)
    objects = FileObjects(tmp_path / "objects")
    entry = packed(objects, [data]).entries[0]
    transcode(objects, KEY, entry, syntax, tmp_path / "out")
    found = (tmp_path / "out").read_bytes()
    assert read(found).json == read(content(objects, entry)).json
    assert read(found).findings == ()
    assert pydicom.dcmread(BytesIO(found)).PixelData == made.PixelData


def test_what_cannot_be_decoded_is_said(tmp_path: Path) -> None:
    objects = FileObjects(tmp_path / "objects")
    for data in (
        part10(encapsulated([b"\xff\xd8\xff\xe0 nonsense "], frames=1), JPEGBaseline8Bit),
        part10(encapsulated([b"\0\0\1\xb3 video"], frames=1), "1.2.840.10008.1.2.4.100"),
    ):
        entry = packed(objects, [data]).entries[0]
        with pytest.raises(BrokenDicom) as caught:
            transcode(objects, KEY, entry, ExplicitVRLittleEndian, tmp_path / "out")
        assert caught.value.code == "cannot-decode"


def test_only_uncompressed_targets(tmp_path: Path) -> None:
    objects = FileObjects(tmp_path / "objects")
    entry = packed(objects, [part10(dataset())]).entries[0]
    with pytest.raises(ValueError):
        transcode(objects, KEY, entry, JPEGBaseline8Bit, tmp_path / "out")
