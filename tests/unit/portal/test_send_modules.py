"""The browser's modules under node's own test runner, with files written and read by Python beside them."""

import json
import os
import re
import shutil
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

import pycdlib
import pydicom
import pytest
from pydicom.data import get_testdata_file

from services.portal.texts import LANGUAGES, topic
from tests.e2e.discs import MORGAN, OTHER, write_disc
from tests.neighbours.process import missing

HERE = Path(__file__).parent / "send"
MODULES = Path(__file__).parents[3] / "services" / "portal" / "static" / "send"
MEMBERS = {"a.txt": "hello hello hello " * 50, "folder/b.bin": "\x00\xff" * 700, "folder/deeper/c": "x"}
SAMPLES = (
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "rtplan.dcm",
    "nested_priv_SQ.dcm",
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("files")
    return {
        **os.environ,
        "DICOM_EXPECTED": json.dumps(_dicom(folder)),
        "ARCHIVES_EXPECTED": json.dumps(_archives(folder)),
    }


def _dicom(folder: Path) -> list[dict[str, object]]:
    disc = write_disc(folder / "CD", [MORGAN, OTHER])
    images = [path for path in disc.rglob("*") if path.is_file() and pydicom.misc.is_dicom(path)]
    samples = [Path(str(get_testdata_file(name))) for name in SAMPLES]
    index = [path for path in images if path.name == "DICOMDIR"]
    found: list[dict[str, object]] = []
    for path in [*samples, *[image for image in images if image not in index]]:
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        fields = {
            "name": "PatientName",
            "id": "PatientID",
            "study": "StudyInstanceUID",
            "series": "SeriesInstanceUID",
        }
        found.append({"file": str(path), **{key: str(dataset.get(tag, "")) for key, tag in fields.items()}})
    lists = [str(path.relative_to(disc)) for path in images if path not in index]
    return [*found, {"file": str(index[0]), "lists": lists}]


def _archives(folder: Path) -> dict[str, object]:
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for number, (name, content) in enumerate(MEMBERS.items()):
            kind = zipfile.ZIP_STORED if number % 2 else zipfile.ZIP_DEFLATED
            archive.writestr(name, content.encode("latin1"), kind)
    data = bytearray((folder / "all.zip").read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 8] |= 1
    (folder / "encrypted.zip").write_bytes(data)
    image = pycdlib.PyCdlib()
    image.new(joliet=3)
    image.add_directory("/FOLDER", joliet_path="/folder")
    image.add_directory("/FOLDER/DEEPER", joliet_path="/folder/deeper")
    for name, content in MEMBERS.items():
        raw = content.encode("latin1")
        plain = "/" + name.upper() + (";1" if "." in name else ".;1")
        image.add_fp(BytesIO(raw), len(raw), plain, joliet_path=f"/{name}")
    image.write(str(folder / "disc.iso"))
    image.close()
    paths = {"zip": "all.zip", "encrypted": "encrypted.zip", "iso": "disc.iso"}
    return {**{key: str(folder / name) for key, name in paths.items()}, "members": MEMBERS}


@pytest.mark.parametrize("name", sorted(path.name for path in HERE.glob("*.test.mjs")))
def test_module(name: str, environment: dict[str, str]) -> None:
    node = shutil.which("node")
    if node is None:
        missing("node is not installed (Debian: nodejs)")
    done = subprocess.run(
        [str(node), "--test", "--no-warnings", str(HERE / name)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_every_text_of_the_modules_has_a_translation(language: str) -> None:
    known = topic(language, "send")
    used = set()
    for path in MODULES.glob("*.js"):
        source = path.read_text("utf-8")
        used |= set(re.findall(r'\bt\("((?:[^"\\]|\\.)*)"', source))
        used |= {" | ".join(pair) for pair in re.findall(r'\btn\("([^"]*)", "([^"]*)"', source)}
    assert used
    assert {text for text in used if text not in known} == set()
