"""Patients, sums, discs, batches and merging: pure decisions."""

from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest

from schemas.shapes import Demographics, FileState, Finding, PackRef, Sender, SeriesSummary, Study, Tally
from schemas.validate import BatchSettled, PackMerged, PackWritten, StudyHeader
from services.validate.members import missing, read_members, shown
from services.validate.models import BatchDoc, DiscCheck, FileRecord, TallyDoc
from services.validate.rules import batches, discs, merging, tally
from services.validate.rules.headers import summed
from services.validate.rules.patients import MANY, distinct, may_be_same
from services.validate.texts import TEXTS, finding
from tests.component.validate.files import batch_tar
from tests.counting import calls

NOW = datetime(2024, 5, 1, tzinfo=UTC)
SENDER = Sender(id="s", name="S", origin="o")
JANE = Demographics(patient_id="1", issuer="A", name="Doe^Jane", birth_date="19700101", sex="F")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"name": "DOE^JANE^^^"}, True),
        ({"name": "Doe^Jané"}, True),
        ({"name": ""}, True),
        ({"birth_date": ""}, True),
        ({"issuer": ""}, True),
        ({"patient_id": "2"}, False),
        ({"patient_id": "2", "issuer": "B"}, True),
        ({"name": "Roe^Jane"}, False),
        ({"birth_date": "19700102"}, False),
        ({"sex": "M"}, False),
    ],
)
def test_the_same_patient(change: dict[str, str], same: bool) -> None:
    assert may_be_same(JANE, JANE.model_copy(update=change)) is same


def test_very_many_patients_are_counted_no_further_than_matters() -> None:
    people = [Demographics(patient_id=str(n), name=f"P{n}^X", sex="F") for n in range(20_000)]
    with calls() as work:
        assert distinct(people) == people[:MANY]
        (told,) = tally.mixed_patients(people, from_machine=False)
    assert "100 or more different patients" in told.text
    assert work.count < 500_000


def test_distinct_patients_keep_their_order() -> None:
    other = Demographics(name="Roe^Richard")
    assert distinct([JANE, JANE, Demographics(name="doe^jane"), other, JANE]) == [JANE, other]


def test_findings_are_summed_by_what_they_say() -> None:
    text = Finding(code="a", severity="info", action="kept", text="1 byte")
    more = text.model_copy(update={"text": "2 bytes", "count": 3})
    assert [(one.text, one.count) for one in summed([text, more, text])] == [("1 byte", 2), ("2 bytes", 3)]
    many = [text.model_copy(update={"text": str(n)}) for n in range(1000)]
    assert len(summed(many)) == 200
    assert sum(one.count for one in summed(many)) == 1000


def test_texts_are_sentences() -> None:
    for severity, action, text in TEXTS.values():
        assert text.endswith("."), text
        assert severity in ("info", "warning", "error")
        assert action in ("kept", "repaired", "quarantined", "refused")
    assert finding("empty", 3).count == 3


def settled(batch: str, sequence: int, **more: Any) -> BatchSettled:
    content = {"tally": Tally(sent=2, stored=2), **more}
    return BatchSettled.first(
        time=NOW,
        key="s",
        correlation_id="s",
        step=f"{batch}{more.get('revision', 1)}",
        submission_id="s",
        batch_id=batch,
        root_sequence=sequence,
        **content,
    )


def test_a_submission_is_complete_with_its_last_batch() -> None:
    doc = TallyDoc(id="s", closed=True, batches=2, files=4)
    assert not tally.is_complete(doc)
    assert tally.take_settled(doc, settled("a", 1, expanded=("c", "d"), expanded_files=9))
    assert tally.take_settled(doc, settled("c", 1))
    assert tally.take_settled(doc, settled("b", 2))
    assert not tally.is_complete(doc), "d is missing"
    assert tally.take_settled(doc, settled("d", 1))
    assert tally.is_complete(doc)
    assert doc.tally == Tally(sent=8, stored=8)
    assert not tally.take_settled(doc, settled("d", 1)), "a redelivery"
    assert tally.take_settled(doc, settled("d", 1, revision=2, tally=Tally(sent=1, refused=1)))
    assert doc.tally == Tally(sent=7, stored=6, refused=1)
    doc.closed = False
    assert not tally.is_complete(doc)


def test_children_may_settle_before_their_parent() -> None:
    doc = TallyDoc(id="s", closed=True, batches=1)
    tally.take_settled(doc, settled("child", 1))
    assert not tally.take_settled(doc, settled("child", 1))
    tally.take_settled(doc, settled("root", 1, expanded=("child",)))
    assert tally.is_complete(doc)


def test_an_empty_submission_is_complete() -> None:
    assert tally.is_complete(TallyDoc(id="s", closed=True))


def test_the_sums_of_the_moment_count_what_is_under_way() -> None:
    known = [Tally(sent=5, stored=3, waiting=2)]
    now = tally.at_this_moment(known, children={"c": 7, "d": 2}, present={"d"}, sent=9, received=5)
    assert now == Tally(sent=16, stored=3, waiting=13)


def test_what_was_announced_and_never_sent() -> None:
    (one,) = tally.never_sent(TallyDoc(id="s", declared=1200, files=1000))
    assert one.text == "200 of the 1,200 announced files never came. Please send them again."
    assert tally.never_sent(TallyDoc(id="s", declared=None, files=10)) == []


def test_several_patients() -> None:
    roe = Demographics(name="Roe^Richard")
    assert tally.mixed_patients([JANE, JANE], from_machine=False) == []
    assert tally.mixed_patients([JANE, roe], from_machine=False)[0].severity == "warning"
    assert tally.mixed_patients([JANE, roe], from_machine=True)[0].severity == "info"


def test_a_disc_is_compared_by_instance_and_by_path() -> None:
    listed = [
        discs.Reference(("DICOM", "IM1"), "1.1"),
        discs.Reference(("DICOM", "IM2"), "1.2"),
        discs.Reference(("DICOM", "IM3"), "1.3"),
        discs.Reference(("DOC", "REPORT"), ""),
        discs.Reference(("DICOM", "IM1"), "1.1"),
    ]
    check = discs.compare(listed, {"1.1"}, ["cd/doc/report"], ["cd.zip/dicom/im2;1"])
    assert (check.listed, check.came) == (4, 2)
    assert (check.lost, check.missing) == (["DICOM/IM2"], ["DICOM/IM3"])
    (one,) = discs.findings(check)
    assert one.text == (
        "The disc lists 4 images, 2 came; 1 arrived but could not be kept; 1 is missing. "
        "Please copy the whole disc and send it again."
    )
    assert discs.findings(DiscCheck(listed=2, came=2)) == []
    assert discs.findings(DiscCheck(readable=False))[0].code == "disc-index-unreadable"


def test_a_hostile_tar_gives_announced_files_once() -> None:
    tar = batch_tar([(1, "../a", b"1"), (1, "b", b"2"), (7, "c", b"3"), (2, "d", b"4")])
    found = read_members(BytesIO(tar), len(tar), [1, 2, 3, 3])
    assert [(member.number, member.path) for member in found.members] == [(1, "../a"), (2, "d")]
    assert found.unannounced == 2
    assert list(missing(found, [1, 2, 3, 3])) == [3]


def test_paths_are_shown_without_tricks() -> None:
    assert shown("a\\b\x07\u202egnp") == "a/b��gnp"
    assert shown("e\u0301") == "é"
    assert len(shown("x" * 9000)) == 501


@dataclass
class Entry:
    position: int
    sop_instance_uid: str
    sha256: str
    series_instance_uid: str = "1"
    length: int = 10


def written(**more: Any) -> PackWritten:
    header = StudyHeader(
        study_instance_uid="1.2",
        patient=JANE,
        modalities=("CT",),
        series=(SeriesSummary(series_instance_uid="1", modality="CT", instances=2),),
    )
    content = {"header": header, **more}
    pack = PackRef(
        id=more.pop("pack_id", "p1"),
        batch_id="b",
        submission_id="s",
        key="k",
        index_key="i",
        instances=2,
        bytes=20,
        sha256="",
    )
    content.pop("pack_id", None)
    return PackWritten.first(
        time=NOW,
        key="st",
        correlation_id="s",
        study_id="st",
        submission_id="s",
        sender=SENDER,
        pack=pack,
        **content,
    )


A, B = "aa" * 32, "bb" * 32


def test_sifting() -> None:
    found = merging.sift(
        [Entry(0, "1", A), Entry(1, "1", A), Entry(2, "1", B), Entry(3, "2", A), Entry(4, "3", A)],
        {"2": merging.digest(A), "3": merging.digest(B)},
    )
    assert (found.kept, found.duplicates, found.conflicts) == ([0], [1, 3], [2, 4])
    assert found.skipped == (1, 2, 3, 4)


def merged(study: Study | None, entries: list[Entry], known: dict[str, bytes], **more: Any) -> Study:
    return merging.merge(study, written(**more), merging.sift(entries, known), NOW)


def test_a_new_study() -> None:
    study = merged(None, [Entry(0, "1", A), Entry(1, "2", A)], {})
    assert (study.revision, study.instances, study.bytes, study.modalities) == (1, 2, 20, ("CT",))
    assert study.packs[0].skipped == ()
    assert Study.model_validate(study.model_dump()) == study


def test_duplicates_alone_change_no_revision() -> None:
    study = merged(None, [Entry(0, "1", A)], {})
    again = merged(study, [Entry(0, "1", A)], {"1": merging.digest(A)}, pack_id="p2")
    assert again == study
    conflict = merged(study, [Entry(0, "1", B)], {"1": merging.digest(A)}, pack_id="p2")
    assert (conflict.revision, conflict.needs_person, len(conflict.packs)) == (2, True, 1)


def test_a_later_pack_fills_what_was_empty() -> None:
    study = merged(None, [Entry(0, "1", A)], {})
    header = StudyHeader(
        study_instance_uid="1.2",
        patient=JANE,
        accession_number="ACC",
        series=study.series,
        modalities=("CT",),
    )
    later = merged(study, [Entry(0, "2", A)], {"1": merging.digest(A)}, pack_id="p2", header=header)
    assert (later.accession_number, later.series[0].instances, later.instances) == ("ACC", 2, 2)


def batch() -> BatchDoc:
    return BatchDoc(
        id="b",
        submission_id="s",
        place="1",
        root_sequence=1,
        sender=SENDER,
        cause_id="c",
        correlation_id="s",
        parts=[],
        ordinals=[4, 5, 5],
        announced=2,
        received_at=NOW,
    )


def test_a_batch_waits_and_is_merged() -> None:
    doc = batch()
    batches.take_waiting(doc, "antivirus-away")
    assert doc.tally == Tally(sent=2, waiting=2)
    assert [record.id for record in batches.waiting_records(doc)] == ["4", "5"]
    doc.files = [FileRecord(id=str(n), pack_id="p", position=n) for n in range(3)]
    doc.pending = ["p"]
    event = PackMerged.first(
        time=NOW,
        key="b",
        correlation_id="s",
        study_id="st",
        submission_id="s",
        batch_id="b",
        pack_id="p",
        duplicates=(1,),
        conflicts=(2,),
    )
    assert [file.id for file in batches.take_merge(doc, event)] == ["2"]
    assert [file.state for file in doc.files] == [
        FileState.STORED,
        FileState.DUPLICATE,
        FileState.QUARANTINED,
    ]
    assert doc.pending == []
    assert sorted(["10", "9.2", "9.10", "1"], key=batches.file_order) == ["1", "9.2", "9.10", "10"]
