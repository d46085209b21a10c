"""A disc's index held against what arrived."""

import io
from pathlib import Path

import pycdlib
import pytest
from pydicom.fileset import FileSet

from tests.component.validate.conftest import House
from tests.component.validate.files import dicom
from tests.component.validate.test_validate_archives import zipped


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A disc of two studies as pydicom writes it, by path."""
    folder = tmp_path_factory.mktemp("disc")
    files = FileSet()
    for study in ("1.2.7", "1.2.8"):
        for number in range(1, 6):
            path = folder / f"{study}-{number}.dcm"
            path.write_bytes(dicom(study, number, StudyTime="120000", StudyID="1", SeriesNumber=1))
            files.add(path)
    files.write(folder / "disc")
    files._stage["t"].cleanup()
    root = folder / "disc"
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


async def test_a_whole_disc(house: House, disc: dict[str, bytes]) -> None:
    submission = await house.send(list(disc.items()), per_batch=4)
    tally = await house.tally(submission)
    assert (tally.tally.stored, tally.tally.document) == (10, 1)
    assert "disc-incomplete" not in [finding.code for finding in tally.findings]
    (check,) = tally.discs
    assert (check.listed, check.came) == (10, 10)
    again = await house.tally(await house.send(list(disc.items())))
    assert again.tally.duplicate == 10
    assert again.discs[0].came == 10, "duplicates came too"


async def test_missing_and_broken_images_are_named(house: House, disc: dict[str, bytes]) -> None:
    images = sorted(path for path in disc if "DICOMDIR" not in path)
    files = {f"cd/{path}": data for path, data in disc.items() if path not in images[:3]}
    files[f"cd/{images[4]}"] = files[f"cd/{images[4]}"][:400]
    submission = await house.send([("cd.zip", zipped(files))])
    tally = await house.tally(submission)
    (finding,) = [one for one in tally.findings if one.code == "disc-incomplete"]
    assert finding.text == (
        "The disc lists 10 images, 6 came; 1 arrived but could not be kept; 3 are missing. "
        "Please copy the whole disc and send it again."
    )
    (check,) = tally.discs
    assert check.missing == images[:3]
    assert check.lost == [images[4]]


async def test_a_disc_image(house: House, disc: dict[str, bytes]) -> None:
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, joliet=3)
    made = set()
    for path, data in disc.items():
        steps = path.split("/")
        for depth in range(1, len(steps)):
            folder = "/" + "/".join(steps[:depth])
            if folder not in made:
                made.add(folder)
                image.add_directory(folder, joliet_path=folder)
        image.add_fp(io.BytesIO(data), len(data), f"/{path}.;1", joliet_path=f"/{path}")
    out = io.BytesIO()
    image.write_fp(out)
    submission = await house.send([("cd.iso", out.getvalue())])
    tally = await house.tally(submission)
    assert (tally.tally.sent, tally.tally.stored, tally.tally.document) == (11, 10, 1)
    assert tally.discs[0].came == 10


async def test_a_broken_index_is_said(house: House, disc: dict[str, bytes]) -> None:
    files = {**disc, "DICOMDIR": disc["DICOMDIR"][:700]}
    submission = await house.send(list(files.items()))
    tally = await house.tally(submission)
    assert tally.tally.stored == 10
    assert tally.tally.waiting == 0


async def test_a_real_disc(house: House, shared_data: Path) -> None:
    folder = shared_data / "dcm4che" / "dcm4che-test-data" / "src" / "main" / "resources"
    files = [(path.name, path.read_bytes()) for path in sorted(folder.iterdir()) if path.is_file()]
    submission = await house.send(files)
    (check, *_) = (await house.tally(submission)).discs
    assert check.readable
    assert check.listed > 0
