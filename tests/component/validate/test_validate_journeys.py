"""Submissions through step 1 and step 2: the sums agree, redelivery changes nothing."""

from schemas.shapes import FileState
from schemas.validate import StudyArrived, StudyUpdated
from tests.component.validate.conftest import House
from tests.component.validate.files import batch_tar, dicom
from tests.conftest import settle


async def test_a_study_arrives(house: House) -> None:
    submission = await house.send([(f"d/{n}.dcm", dicom(number=n)) for n in range(1, 4)])
    tally = await house.tally(submission)
    assert (tally.tally.sent, tally.tally.stored) == (3, 3)
    (study,) = await house.studies(submission)
    assert study.study.instances == 3
    assert study.study.patient.name == "Doe^Jane"
    assert [series.instances for series in study.study.series] == [3]
    assert len(await house.events(StudyArrived)) == 1
    assert not list(house.kit.objects.list("incoming/"))


async def test_the_same_again_is_a_duplicate_and_changes_no_revision(house: House) -> None:
    files = [(f"{n}", dicom(number=n)) for n in range(1, 4)]
    await house.send(files)
    second = await house.send(files)
    tally = await house.tally(second)
    assert (tally.tally.sent, tally.tally.duplicate) == (3, 3)
    (study,) = await house.studies(second)
    assert study.study.revision == 1
    assert study.study.instances == 3
    assert len(list(house.kit.objects.list("studies/"))) == 3, "only the index of the second pack stays"


async def test_twice_in_one_batch_is_kept_once(house: House) -> None:
    submission = await house.send([("a", dicom(number=1)), ("b", dicom(number=1)), ("c", dicom(number=2))])
    tally = (await house.tally(submission)).tally
    assert (tally.stored, tally.duplicate) == (2, 1)
    (study,) = await house.studies(submission)
    assert study.study.packs[0].skipped == (1,)


async def test_other_content_under_the_same_uid_is_put_aside(house: House) -> None:
    await house.send([("a", dicom(number=1))])
    submission = await house.send([("b", dicom(number=1, pixels=b"\5\6\7\x08")), ("c", dicom(number=2))])
    tally = await house.tally(submission)
    assert (tally.tally.stored, tally.tally.quarantined) == (1, 1)
    assert "same-uid-other-content" in [finding.code for finding in tally.findings]
    (study,) = await house.studies(submission)
    assert study.study.needs_person
    assert study.study.revision == 2
    assert study.study.instances == 2


async def test_another_patient_in_the_same_study_needs_a_person(house: House) -> None:
    submission = await house.send(
        [("a", dicom(number=1)), ("b", dicom(number=2, PatientID="P2", PatientName="Roe^Richard"))]
    )
    (study,) = await house.studies(submission)
    assert study.study.needs_person
    assert [patient.patient_id for patient in study.study.other_patients] == ["P2"]
    assert "several-patients-in-study" in [finding.code for finding in study.study.findings]


async def test_several_patients_in_a_submission_are_a_finding(house: House) -> None:
    submission = await house.send(
        [("a", dicom("1.2.3")), ("b", dicom("1.2.4", PatientID="P2", PatientName="Roe^Richard"))]
    )
    tally = await house.tally(submission)
    assert "several-patients" in [finding.code for finding in tally.findings]
    assert len(tally.studies) == 2


async def test_a_study_over_many_batches(house: House) -> None:
    submission = await house.send([(str(n), dicom(number=n)) for n in range(1, 41)], per_batch=2)
    (study,) = await house.studies(submission)
    assert study.study.instances == 40
    assert study.study.revision == 20
    assert len(study.study.packs) == 20
    updates = [event.study.revision for event in await house.events(StudyUpdated)]  # type: ignore[attr-defined]
    assert sorted(updates) == list(range(2, 21))


async def test_every_event_again_changes_nothing(house: House) -> None:
    submission = await house.send(
        [("a", dicom(number=1)), ("b", b"hello"), ("c", dicom(number=1)), ("d", b"MZ program")], per_batch=2
    )
    before = await house.tally(submission)
    events = [event for _, event in await house.kit.bus.read(after=0, limit=1000)]
    for event in [*events, *reversed(events)]:
        await house.kit.bus.publish([event])
    await settle(house.kit)
    after = await house.tally(submission)
    assert after.model_dump(exclude={"causes"}) == before.model_dump(exclude={"causes"})
    assert len({event.id for event in await house.validations(submission)}) == 1
    (study,) = await house.studies(submission)
    assert (study.study.instances, study.study.revision) == (1, 1)


async def test_documents_junk_and_missing_files(house: House) -> None:
    submission = await house.open(declared=6)
    tar = batch_tar(
        [
            (1, "report.pdf", b"%PDF-1.4\n%%EOF"),
            (2, "Autorun.inf", b"[autorun]\nopen=viewer.exe"),
            (3, "viewer.exe", b"MZ\x90\0" + bytes(100)),
            (4, "empty.dcm", b""),
            (99, "not announced", b"hello"),
        ]
    )
    await house.batch(submission, 1, tar, [1, 2, 3, 4, 5])
    await house.close(submission, files=5, batches=1)
    tally = await house.validated(submission)
    files = await house.files(submission)
    assert {key: file.code for key, file in files.items()} == {
        "1": "",
        "2": "disc-junk",
        "3": "program",
        "4": "empty",
        "5": "announced-but-missing",
    }
    assert files["1"].state is FileState.DOCUMENT
    assert (tally.tally.sent, tally.tally.document, tally.tally.refused) == (5, 1, 4)
    codes = {finding.code for finding in tally.findings}
    assert {"not-announced", "announced-never-sent"} <= codes
    assert len(list(house.kit.objects.list("documents/"))) == 1
