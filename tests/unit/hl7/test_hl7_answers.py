"""Acknowledgements, times and outgoing messages; hl7apy's grammar is the judge of structure."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hl7apy.parser import parse_message

from kit.hl7.ack import ACCEPTED, Outcome, Verdict, acknowledge, batch, code_for, read_acknowledgement
from kit.hl7.build import adt, imaging_order
from kit.hl7.message import NotHl7, parse, split_batch
from kit.hl7.times import dicom_date, dicom_datetime, hl7_time, instant
from schemas.shapes import Demographics, Order

ZONE = ZoneInfo("Europe/Vienna")
NOW = datetime(2026, 3, 1, 9, 30, 15, 250_000, tzinfo=UTC)
PATIENT = Demographics(
    patient_id="1|2", issuer="HOSPITAL", name="Müller^Jörg=山田^太郎", birth_date="19700203", sex="M"
)


def head(accept: str = "", application: str = "", version: str = "2.5.1", control_id: str = "42") -> str:
    return f"MSH|^~\\&|HIS|HOSP|RIS|X|20260301||ADT^A01|{control_id}|P|{version}|||{accept}|{application}\r"


def test_accepting_answer_is_valid_by_the_grammar() -> None:
    text = acknowledge(parse(head()), ACCEPTED, now=NOW, zone=ZONE, control_id="a1")
    assert text is not None
    theirs = parse_message(text)
    assert theirs.validate()
    assert (theirs.msa.msa_1.value, theirs.msa.msa_2.value) == ("AA", "42")
    assert theirs.msh.msh_5.value == "HIS"
    assert read_acknowledgement(text).accepted


@pytest.mark.parametrize("version", ["2.3", "2.4", "2.5.1", "2.8"])
def test_refusing_answer_says_why(version: str) -> None:
    verdict = Verdict("error", 101, "PID-3 holds no patient ID.", "PID^1^3")
    text = acknowledge(parse(head(version=version)), verdict, now=NOW, zone=ZONE, control_id="a1")
    assert text is not None
    answer = read_acknowledgement(text)
    assert (answer.code, answer.control_id, answer.text) == ("AE", "42", "PID-3 holds no patient ID.")
    assert "101" in text.split("\r")[2]
    assert parse_message(text).err is not None


def test_control_id_comes_back_as_it_was() -> None:
    message = parse("MSH#$%\\&#a#######9|$x#P#2.5.1\r")
    text = acknowledge(message, ACCEPTED, now=NOW, zone=ZONE, control_id="1")
    assert text is not None
    assert read_acknowledgement(text).control_id == "9|"


@pytest.mark.parametrize(
    ("accept", "application", "outcome", "code"),
    [
        ("", "", "accept", "AA"),
        ("", "", "error", "AE"),
        ("", "", "reject", "AR"),
        ("AL", "NE", "accept", "CA"),
        ("AL", "AL", "error", "CE"),
        ("AL", "", "reject", "CR"),
        ("NE", "AL", "accept", "AA"),
        ("NE", "NE", "accept", None),
        ("SU", "NE", "error", None),
        ("ER", "NE", "accept", None),
        ("ER", "NE", "error", "CE"),
        ("NE", "ER", "accept", None),
        ("", "AL", "accept", "AA"),
        ("??", "", "accept", "CA"),
    ],
)
def test_which_answer_the_sender_wants(
    accept: str, application: str, outcome: Outcome, code: str | None
) -> None:
    assert code_for(parse(head(accept, application)), outcome) == code


def test_unreadable_message_is_answered_too() -> None:
    text = acknowledge(None, Verdict("reject", 100, "This is not HL7."), now=NOW, zone=ZONE, control_id="1")
    assert text is not None
    assert read_acknowledgement(text).code == "AR"


def test_answers_of_a_batch() -> None:
    one = acknowledge(parse(head()), ACCEPTED, now=NOW, zone=ZONE, control_id="1")
    assert one is not None
    messages, enveloped = split_batch(batch([one, one]))
    assert enveloped
    assert len(messages) == 2


def test_answer_without_msa_is_none() -> None:
    with pytest.raises(NotHl7):
        read_acknowledgement("MSH|^~\\&|x\r")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20260301103015", datetime(2026, 3, 1, 9, 30, 15, tzinfo=UTC)),
        ("202603011030", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("20260701103015.5", datetime(2026, 7, 1, 8, 30, 15, 500_000, tzinfo=UTC)),
        ("20260301103015-0500", datetime(2026, 3, 1, 15, 30, 15, tzinfo=UTC)),
        ("20260301103015.123456789+0000", datetime(2026, 3, 1, 10, 30, 15, 123_456, tzinfo=UTC)),
        ("20260301", None),
        ("2026", None),
        ("20261301103015", None),
        ("20260301993015", None),
        ("00010101000000+2300", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_instants(text: str, expected: datetime | None) -> None:
    assert instant(text, ZONE) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("19700203", "19700203"),
        ("19700203101500+0100", "19700203"),
        ("1970", "1970"),
        ("197002", "197002"),
        ("19700000", "1970"),
        ("19700200", "197002"),
        ("1970-02-03", "19700203"),
        ("1970.02.03 10:00", "19700203"),
        ("19700230", ""),
        ("Aug 15, 1942", ""),
        ("\u0661\u0669\u0667\u0660\u0660\u0662\u0660\u0663", ""),
        ("", ""),
        ("0000", ""),
    ],
)
def test_dates(text: str, expected: str) -> None:
    assert dicom_date(text) == expected


def test_scheduled_times_are_in_the_zone_of_the_site() -> None:
    assert dicom_datetime("20260301103015+0000", ZONE) == "20260301113015"
    assert dicom_datetime("20260301", ZONE) == "20260301"
    assert dicom_datetime("99991231235959+0000", ZONE) == "99991231"
    assert dicom_datetime("08000101103015", ZONE) == "08000101103015"
    assert hl7_time(NOW, ZONE) == "20260301103015.250+0100"
    assert instant(hl7_time(NOW, ZONE), timezone(timedelta(0))) == NOW


@pytest.mark.parametrize("trigger", ["A01", "A04", "A08", "A28", "A31", "A40"])
def test_outgoing_adt_is_valid_by_the_grammar(trigger: str) -> None:
    text = adt(PATIENT, now=NOW, zone=ZONE, trigger=trigger, retired=PATIENT if trigger == "A40" else None)
    assert parse_message(text).validate()
    person = parse(text).first("PID")
    assert person is not None
    assert (person.text(3), person.text(3, 4)) == ("1|2", "HOSPITAL")


def test_outgoing_order_carries_what_a_worklist_would() -> None:
    wanted = Order(
        accession_number="ACC",
        requested_procedure_id="RP",
        scheduled_step_id="SPS",
        requested_procedure_description="CT & contrast",
        study_instance_uid="1.2.3",
        modality="CT",
        placer_order_number="P",
        filler_order_number="F",
        scheduled_at="20260302083000",
    )
    text = imaging_order(PATIENT, wanted, now=NOW, zone=ZONE)
    parse_message(text)
    request = parse(text).first("OBR")
    assert request is not None
    assert [request.text(n) for n in (18, 19, 20, 24)] == ["ACC", "RP", "SPS", "CT"]
    assert request.text(44, 2) == "CT & contrast"
