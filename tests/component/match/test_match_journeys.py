"""From HL7 messages and studies to matches, on a real bus and real documents."""

from schemas.shapes import Demographics
from services.match.rules.facts import patient_key
from tests.component.match.conftest import Running
from tests.component.match.samples import adt, merge, order


async def test_study_of_known_id_is_matched_at_once(running: Running) -> None:
    assert await running.send(adt()) == ["AA"]
    match = await running.study(patient_id="4711", issuer="HOSPITAL")
    assert (match.state, match.certainty, match.rule) == ("matched", "certain", "issuer+id")
    assert match.chosen is not None
    assert match.chosen.patient.patient_id == "4711"


async def test_foreign_id_without_issuer_never_decides(running: Running) -> None:
    await running.send(adt(sex=""))
    match = await running.study(patient_id="4711", name="Muster^Annamaria")
    assert match.state == "unmatched"
    assert match.candidates[0].patient.patient_id == "4711"


async def test_unique_person_is_matched_whatever_the_spelling(running: Running) -> None:
    await running.send(adt(name="Müller^Jörg", sex="M"))
    match = await running.study(name="MUELLER^JOERG", sex="M")
    assert match.rule == "name+birth+sex"


async def test_two_alike_leave_it_to_a_person(running: Running) -> None:
    await running.send(adt(), adt(patient_id="4712"))
    match = await running.study()
    assert match.state == "unmatched"
    assert len(match.candidates) == 2


async def test_patient_that_comes_later_matches_the_waiting_study(running: Running) -> None:
    first = await running.study()
    assert (first.state, first.revision) == ("unmatched", 1)
    await running.send(adt())
    later = await running.match()
    assert (later.state, later.rule) == ("matched", "name+birth+sex")
    assert [m.revision for m in await running.said()] == list(range(1, later.revision + 1))


async def test_order_that_comes_later_matches_by_its_accession_number(running: Running) -> None:
    await running.send(adt(), adt(patient_id="4712"))
    assert (await running.study(accession_number="ACC1")).state == "unmatched"
    await running.send(order())
    match = await running.match()
    assert match.rule == "accession"
    assert match.chosen is not None
    assert match.chosen.order is not None
    assert match.chosen.order.requested_procedure_id == "RPP1"
    assert match.chosen.order.scheduled_at == "20260302083000"


async def test_accession_number_of_somebody_else_decides_nothing(running: Running) -> None:
    await running.send(order(name="Other^Person", patient_id="1", birth="19500101"))
    match = await running.study(accession_number="ACC1")
    assert match.state == "unmatched"
    assert match.candidates[0].contradictions


async def test_cancelled_order_is_no_candidate(running: Running) -> None:
    await running.send(order(), order(control="CA", time="20260301130000"))
    match = await running.study(accession_number="ACC1", sex="")
    assert match.state == "unmatched"
    assert all(candidate.order is None for candidate in match.candidates)


async def test_second_patient_of_the_same_name_takes_certainty_back(running: Running) -> None:
    await running.send(adt())
    assert (await running.study()).state == "matched"
    await running.send(adt(patient_id="4712"))
    match = await running.match()
    assert match.state == "unmatched"
    assert match.revision > 1


async def test_merge_after_the_study_moves_it_to_the_survivor(running: Running) -> None:
    await running.send(adt(patient_id="OLD"))
    await running.study(patient_id="OLD", issuer="HOSPITAL")
    await running.send(merge("NEW", "OLD"))
    match = await running.match()
    assert match.rule == "issuer+id"
    assert match.chosen is not None
    assert match.chosen.patient.patient_id == "NEW"


async def test_merge_before_the_study_and_before_the_records(running: Running) -> None:
    await running.send(merge("NEW", "OLD"), adt(patient_id="OLD", time="20260301090000"))
    match = await running.study(patient_id="OLD", issuer="HOSPITAL")
    assert match.chosen is not None
    assert match.chosen.patient.patient_id == "NEW"
    assert match.rule == "issuer+id"


async def test_orders_follow_a_merge(running: Running) -> None:
    await running.send(order(patient_id="OLD"), merge("NEW", "OLD"))
    match = await running.study(accession_number="ACC1")
    assert match.chosen is not None
    assert match.chosen.patient.patient_id == "NEW"
    assert match.chosen.order is not None


async def test_merge_that_is_turned_round_ends_in_the_later_survivor(running: Running) -> None:
    await running.send(merge("A", "B"), merge("B", "A", time="20260301120000"))
    kept, retired = await running.patient("B"), await running.patient("A")
    assert kept is not None
    assert retired is not None
    assert kept.merged_into == ""
    assert retired.merged_into == patient_key("HOSPITAL", "B")
    match = await running.study(patient_id="A", issuer="HOSPITAL")
    assert match.chosen is not None
    assert match.chosen.patient.patient_id == "B"


async def test_older_message_does_not_overwrite(running: Running) -> None:
    await running.send(adt(name="New^Anna"), adt(name="Old^Anna", time="20250101000000"))
    patient = await running.patient("4711")
    assert patient is not None
    assert patient.name == "New^Anna"


async def test_explicit_null_deletes_and_empty_keeps(running: Running) -> None:
    await running.send(adt(), adt(time="20260301101000", birth="", sex='""'))
    patient = await running.patient("4711")
    assert patient is not None
    assert (patient.birth_date, patient.sex) == ("19700203", "")


async def test_same_message_twice_changes_nothing(running: Running) -> None:
    message = adt(control_id="SAME")
    assert await running.send(message, message) == ["AA", "AA"]
    patient = await running.patient("4711")
    assert patient is not None
    assert patient.version == 1


async def test_corrected_name_is_noticed_by_a_matched_study(running: Running) -> None:
    await running.send(adt())
    await running.study(patient_id="4711", issuer="HOSPITAL")
    await running.send(adt(name="Completely^Different", time="20260301101000"))
    match = await running.match()
    assert match.state == "unmatched"
    assert "name" in match.candidates[0].contradictions


async def test_every_study_revision_gets_a_match_of_its_own(running: Running) -> None:
    await running.send(adt())
    await running.study(patient_id="4711", issuer="HOSPITAL")
    match = await running.study(revision=2, patient_id="4711", issuer="HOSPITAL")
    assert (match.study_revision, match.revision) == (2, 2)
    again = await running.study(revision=2, patient_id="4711", issuer="HOSPITAL")
    assert again.revision == 2


async def test_mixed_patients_are_never_certain(running: Running) -> None:
    await running.send(adt())
    other = Demographics(patient_id="1", name="Else^Someone", birth_date="19900101", sex="M")
    match = await running.study(patient_id="4711", issuer="HOSPITAL", other_patients=(other,))
    assert match.state == "unmatched"


async def test_deleted_person_is_no_longer_found(running: Running) -> None:
    await running.send(adt())
    await running.study()
    await running.send(adt("A29", time="20260301120000"))
    match = await running.match()
    assert match.state == "unmatched"
    assert match.candidates == ()
