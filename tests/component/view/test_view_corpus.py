"""The shared data: what comes back is what was stored, and decodes as pydicom decodes it."""

import warnings
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pydicom
import pytest
from pydicom.pixels import pixel_array

from kit.dicom.meta import NATIVE
from kit.dicom.pack import PackWriter
from kit.service import Kit
from schemas.shapes import PackRef
from services.view.rules.accept import DECODABLE
from tests.component.dicom.corpus import readable, stored_bytes
from tests.component.view.samples import arrive, study
from tests.unit.dicom.samples import read

STORED = {"accept": "application/dicom; transfer-syntax=*"}
PLAIN = {"accept": "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"}
JPEG = {"accept": "image/jpeg"}
FOLDERS = (
    "dcm4che",
    "pydicom-data",
    "nema-wg04",
    "highdicom",
    "echo-cine",
    "dicomparser",
    "fo-dicom",
    "fuzz-corpus",
)


def packed(kit: Kit, files: list[bytes], name: str) -> PackRef:
    key, index_key = f"studies/{name}.dcm", f"studies/{name}.idx"
    with PackWriter(kit.objects, key, index_key) as writer:
        for number, data in enumerate(files):
            writer.add(read(data), BytesIO(data), str(number))
        instances, size, sha256 = writer.commit()
    return PackRef(
        id=name, batch_id="b", submission_id="s", key=key, index_key=index_key, instances=instances,
        bytes=size, sha256=sha256,
    )  # fmt: skip


@pytest.mark.parametrize("folder", FOLDERS)
async def test_every_image(kit_env: Kit, client: httpx.AsyncClient, shared_data: Path, folder: str) -> None:
    seen: dict[str, tuple[bytes, bytes]] = {}
    for _, data, instance in readable(shared_data / folder):
        if len(seen) < 40:
            seen.setdefault(instance.sop_instance_uid, (data, stored_bytes(instance, data)))
    await arrive(kit_env, study([packed(kit_env, [data for data, _ in seen.values()], "p1")]))
    rows = (await client.get("/dicomweb/study/st1/studies/1.2.3.4/instances")).json()
    assert len(rows) == len(seen)
    compared = 0
    for row in rows:
        address = row["00081190"]["Value"][0]
        _, kept = seen[row["00080018"]["Value"][0]]
        assert (await client.get(address, headers=STORED)).content == kept
        for place in ("/rendered", "/thumbnail"):
            assert (await client.get(address + place, headers=JPEG)).status_code in (200, 406)
        if not row.get("00280008"):
            continue
        syntax = row["00083002"]["Value"][0]
        frame = await client.get(f"{address}/frames/1", headers=PLAIN)
        if frame.status_code == 200 and (syntax in DECODABLE or syntax in NATIVE):
            compared += _same(kept, frame.content)
    assert compared or folder == "fuzz-corpus"


def _same(kept: bytes, pixels: bytes) -> bool:
    """Whether there was something to compare; fails when it differs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's opinions of old files
        dataset = pydicom.dcmread(BytesIO(kept))
        if dataset.file_meta.TransferSyntaxUID in NATIVE:
            assert "PixelData" not in dataset or dataset.BitsAllocated == 1 or pixels in dataset.PixelData
            return True
        try:
            expected = pixel_array(dataset, index=0)
        except (ValueError, RuntimeError, AttributeError, NotImplementedError):
            return False
    found = np.frombuffer(pixels, expected.dtype.newbyteorder("<"))[: expected.size]
    assert np.array_equal(found.reshape(expected.shape), expected)
    return True
