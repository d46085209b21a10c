"""QIDO-RS matching and the order of instances."""

from types import SimpleNamespace

import pytest

from kit.dicom.elements import Span
from kit.dicom.frames import Frames
from kit.dicom.pack import PackEntry
from kit.errors import Refused
from services.view.rules.attributes import attribute, by_number, name_attribute, name_words
from services.view.rules.matching import matches, parse, wildcard

STUDY = {
    "00080020": attribute("DA", "20250102"),
    "00080050": attribute("SH", "ACC-1"),
    "00080061": attribute("CS", "CT", "SR"),
    "00100010": name_attribute("Doe^Jane=山田^花子"),
    "00100020": attribute("LO", "P1"),
    "0020000D": attribute("UI", "1.2.3"),
}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ([], True),
        ([("PatientName", "doe*")], True),
        ([("PatientName", "*JANE")], True),
        ([("PatientName", "Doe")], False),
        ([("PatientName", "山田*")], True),
        ([("PatientName", "d?e^jane")], True),
        ([("00100020", "P1")], True),
        ([("PatientID", "P")], False),
        ([("StudyDate", "20250101-20250131")], True),
        ([("StudyDate", "20250103-")], False),
        ([("StudyDate", "-20250102")], True),
        ([("StudyDate", "20250102")], True),
        ([("ModalitiesInStudy", "MR,CT")], True),
        ([("ModalitiesInStudy", "MR")], False),
        ([("StudyInstanceUID", "1.2.9,1.2.3")], True),
        ([("StudyInstanceUID", "1.2.*")], False),
        ([("AccessionNumber", "")], True),
        ([("AccessionNumber", "*")], True),
        ([("PatientID", "P1"), ("AccessionNumber", "ACC-2")], False),
        ([("StudyDescription", "x")], False),
        ([("includefield", "00081030"), ("fuzzymatching", "false")], True),
    ],
)
def test_conditions(query: list[tuple[str, str]], found: bool) -> None:
    assert matches(STUDY, parse(query, 100).conditions) is found


@pytest.mark.parametrize(
    "query", [("PixelData", "x"), ("limit", "-1"), ("offset", "x"), ("PatientID", "x" * 2000)]
)
def test_what_cannot_be_asked(query: tuple[str, str]) -> None:
    with pytest.raises(Refused):
        parse([query], 100)


def test_pages() -> None:
    query = parse([("limit", "5000"), ("offset", "7")], 100)
    assert (query.limit, query.offset) == (100, 7)
    assert parse([], 100).limit == 100


def test_many_stars_take_no_time() -> None:
    assert not wildcard("*a" * 400 + "b", "a" * 2000)
    assert wildcard("a*b*", "axxbxx")
    assert not wildcard("a?", "a")


def test_names_are_searched_by_words() -> None:
    assert name_words("Doe^Jane Ann=山田^花子") == ["ann", "doe", "jane", "山田", "花子"]


def test_attributes_without_a_value_have_none() -> None:
    assert attribute("LO", "") == {"vr": "LO"}
    assert name_attribute("") == {"vr": "PN"}
    assert attribute("IS", 0) == {"vr": "IS", "Value": [0]}


def entry(number: str) -> PackEntry:
    return PackEntry(0, "1", "1", number, "1", "1", 0, 0, 0, 0, 0, "", number, 0, 0, Frames(), (), Span(0, 0))


def test_instances_are_ordered_by_number() -> None:
    ordered = by_number([SimpleNamespace(entry=entry(number)) for number in ("10", "", "9", "x", "2")])
    assert [one.entry.instance_number for one in ordered] == ["2", "9", "10", "", "x"]


def test_sequences_times_and_fuzzy_names() -> None:
    header = {
        **STUDY,
        "00080030": attribute("TM", "101530.25"),
        "00400275": {"vr": "SQ", "Value": [{"00401001": attribute("SH", "RP7")}]},
        "00100010": name_attribute("Müller^Jürgen"),
    }
    for query, found in (
        ([("RequestAttributesSequence.RequestedProcedureID", "RP7")], True),
        ([("00400275.00401001", "RP8")], False),
        ([("StudyTime", "1015-1016")], True),
        ([("StudyTime", "10:00-10:14")], False),
        ([("StudyTime", "101530.25")], True),
        ([("PatientName", "jurgen muller"), ("fuzzymatching", "true")], True),
        ([("PatientName", "mull"), ("fuzzymatching", "true")], True),
        ([("PatientName", "mull"), ("fuzzymatching", "false")], False),
    ):
        asked = parse(query, 100)
        assert matches(header, asked.conditions, fuzzy=asked.fuzzy) is found, query


def test_fields_to_return() -> None:
    asked = parse([("includefield", "00081030,StudyTime,nonsense"), ("includefield", "0008103e")], 10)
    assert asked.fields == {"00081030", "00080030", "0008103E"}
    assert not asked.everything
    assert parse([("includefield", "all")], 10).everything
