"""Every file of the shared test data: an answer for each, and agreement with pydicom."""

import warnings
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pydicom
import pytest

from kit.dicom.errors import BrokenDicom, NotDicom
from kit.dicom.instance import read_instance
from kit.dicom.meta import IMPLICIT
from tests.component.dicom.corpus import files, readable, stored_bytes

NOT_COMPARED = {"00080005", "7FE00008", "7FE00009", "7FE00010"}
OWN_WAY = {
    "chrGB2312.dcm": "pydicom leaves its escape sequences in place",
    "bad_sequence.dcm": "a sequence named UN, which pydicom reads anew",
}


@pytest.fixture(autouse=True)
def quiet_pydicom(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings.simplefilter("ignore")
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.IGNORE)


def test_every_file_gets_an_answer(shared_data: Path) -> None:
    answers: Counter[str] = Counter()
    for path in files(shared_data):
        with path.open("rb") as file:
            try:
                instance = read_instance(file, path.stat().st_size)
            except NotDicom:
                answers["other"] += 1
            except BrokenDicom:
                answers["refused"] += 1
            else:
                if instance.source is not None:
                    instance.source.close()
                answers["read"] += 1
    assert answers["read"] > 450
    assert answers["refused"] < 80


def test_what_is_stored_reads_again_without_repairs(shared_data: Path) -> None:
    for path, data, instance in readable(shared_data):
        made = stored_bytes(instance, data)
        again = read_instance(BytesIO(made), len(made))
        assert [f.code for f in again.findings if f.action == "repaired"] == [], path
        assert again.json == instance.json, path
        assert again.frames == instance.frames, path


def plain(value: Any) -> Any:
    """Blanks, trailing name delimiters and the kind of number mean nothing."""
    if isinstance(value, str):
        return value.strip(" \0^") or None
    if isinstance(value, dict):
        return {key: found for key, inner in value.items() if (found := plain(inner)) is not None} or None
    return value


def differences(ours: dict[str, Any], theirs: dict[str, Any], implicit: bool, path: str = "") -> list[str]:
    found: list[str] = []
    for key in ours.keys() & theirs.keys():
        here = f"{path}{key}"
        mine, other = ours[key], theirs[key]
        private = int(key[:4], 16) % 2
        if key in NOT_COMPARED or (private and implicit) or "BulkDataURI" in mine:
            continue
        if mine["vr"] != other["vr"]:
            if " or " not in other["vr"] and not (private and mine["vr"] == "UN"):
                found.append(f"{here}: VR")
        elif mine["vr"] == "SQ":
            items = mine.get("Value", []), other.get("Value", [])
            if len(items[0]) != len(items[1]):
                found.append(f"{here}: number of items")
            for one, two in zip(*items, strict=False):
                found += differences(one, two, implicit, f"{here}/")
        elif "Value" in mine or "Value" in other:
            if [v for v in map(plain, mine.get("Value", [])) if v is not None] != [
                v for v in map(plain, other.get("Value", [])) if v is not None
            ]:
                found.append(f"{here}: value")
        elif mine.get("InlineBinary") != other.get("InlineBinary"):
            found.append(f"{here}: bytes")
    return found


def test_headers_agree_with_pydicom(shared_data: Path) -> None:
    compared = 0
    for path, data, instance in readable(shared_data):
        if "fuzz" in str(path) or path.name in OWN_WAY:
            continue
        made = stored_bytes(instance, data)
        theirs = pydicom.dcmread(BytesIO(made)).to_json_dict(suppress_invalid_tags=True)
        ours = orjson.loads(instance.json)
        assert differences(ours, theirs, instance.transfer_syntax == IMPLICIT) == [], path
        missing = theirs.keys() - ours.keys() - NOT_COMPARED
        assert {key for key in missing if key[4:] != "0000"} == set(), path
        compared += 1
    assert compared > 300
