from pydicom import dcmread

from anteroom.demo import study


def test_the_study_that_ships_is_what_it_says() -> None:
    paths = study.files()
    headers = [dcmread(path) for path in paths]
    assert len(paths) == study.INSTANCES
    assert sum(path.stat().st_size for path in paths) < 4_500_000
    assert {str(header.StudyInstanceUID) for header in headers} == {study.STUDY_INSTANCE_UID}
    numbers = [int(header.InstanceNumber) for header in headers]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    outside = study.outside()
    for header in headers:
        assert str(header.PatientName) == outside.name
        assert header.PatientID == outside.patient_id
        assert header.PatientBirthDate == outside.birth_date
        assert header.PatientSex == outside.sex
        assert len(header.PixelData) == header.Rows * header.Columns * 2


def test_the_local_identity_differs_where_reconciling_shows() -> None:
    local, outside = study.demographics(), study.outside()
    assert local.patient_id != outside.patient_id
    assert local.issuer
    assert (local.name, local.birth_date, local.sex) == (outside.name, outside.birth_date, outside.sex)
    assert study.order().accession_number


def test_the_licence_ships_with_it() -> None:
    assert "PDDL" in (study.files()[0].parent / "LICENCE.txt").read_text()
