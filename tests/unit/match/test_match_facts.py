"""What messages say of patients, orders and merges, and which of them are taken."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from kit.hl7.message import parse
from services.match.documents import Patient
from services.match.records import apply, changes
from services.match.rules.facts import merges, message_time, orders, patient_key, patients
from services.match.rules.intake import take
from tests.component.match.samples import adt, header, merge, order, pid

ZONE = ZoneInfo("Europe/Vienna")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_primary_id_is_of_the_own_issuer_then_the_record_number() -> None:
    ids = "9^^^LAB^PI~77^^^^AN~5^^^OTHER^MR~4711^^^Hospital&1.2.3&ISO^XX"
    message = parse(header("ADT^A08") + "\r" + f"PID|||{ids}||A^B")
    assert [held.value for held in patients(message, "HOSPITAL")[0].held] == ["4711", "9", "5"]
    assert patients(message, "ELSE")[0].held[0].value == "9"


def test_missing_issuer_is_the_hospital_and_social_security_is_not_kept() -> None:
    message = parse(header("ADT^A08") + "\r" + "PID|||4711~123-45-6789^^^USA^SS||A^B")
    person = patients(message, "HOSPITAL")[0]
    assert [(held.value, held.issuer) for held in person.held] == [("4711", "HOSPITAL")]
    assert person.key == patient_key(" hospital", "47 11")


def test_addresses_and_results_are_not_kept() -> None:
    text = adt() + "OBX|1|TX|||a long result\rNK1|1|Some^One\r"
    taken = take(parse(text), zone=ZONE, default_issuer="HOSPITAL")
    assert taken.verdict.outcome == "accept"
    assert "Street" not in taken.text
    assert "result" not in taken.text
    assert "Some^One" not in taken.text
    assert patients(parse(taken.text), "HOSPITAL") == patients(parse(text), "HOSPITAL")


def test_what_is_kept_says_the_same() -> None:
    for text in (order(uid="1.2.3"), merge("N", "O")):
        kept = parse(take(parse(text), zone=ZONE, default_issuer="H").text)
        assert orders(kept, ZONE) == orders(parse(text), ZONE)
        assert merges(kept, "H") == merges(parse(text), "H")
        assert message_time(kept, NOW, ZONE) == message_time(parse(text), NOW, ZONE)


def test_odd_delimiters_survive_keeping() -> None:
    text = "MSH#$%!&#HIS######ADT$A08#1\rPID###4711$$$H##Muster$Anna"
    kept = parse(take(parse(text), zone=ZONE, default_issuer="H").text)
    assert patients(kept, "H")[0].name == "Muster^Anna"


def test_time_is_the_earlier_of_event_and_message() -> None:
    def at(head: str, event: str) -> datetime:
        return message_time(parse(header("ADT^A08", head) + f"\rEVN|A08|{event}\r"), NOW, ZONE)

    assert at("20260301100000", "20260301095900") == datetime(2026, 3, 1, 8, 59, tzinfo=UTC)
    assert at("20260301100000", "20260305") == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert at("", "") == NOW
    assert at("20990101000000", "") == NOW


def test_orders_of_an_imaging_order_message() -> None:
    text = "\r".join(
        [
            header("OMI^O23^OMI_O23"),
            pid(),
            "ORC|NW|P1^HIS|F1",
            "TQ1|||||||202603020830+0000",
            "OBR|1|P1|F1|X^A head^L",
            "IPC|ACC^RIS|RP1|1.2.3|S1|CT|C1^Protocol one",
            "IPC|ACC^RIS|RP1|1.2.3|S2|MR|C2^Protocol two",
        ]
    )
    found = orders(parse(text), ZONE)
    assert [facts.order.scheduled_step_id for facts in found] == ["S1", "S2"]
    one = found[0].order
    assert (one.accession_number, one.accession_issuer, one.modality) == ("ACC", "RIS", "CT")
    assert (one.study_instance_uid, one.scheduled_at) == ("1.2.3", "20260302093000")
    assert one.scheduled_step_description == "Protocol one"
    assert len({facts.key for facts in found}) == 2


def test_accession_number_may_be_the_fillers() -> None:
    text = header("ORM^O01") + "\r" + pid() + "\rORC|NW|P1|F1\rOBR|1|P1|F1|X^A head"
    assert orders(parse(text), ZONE)[0].order.accession_number == "F1"
    assert orders(parse(text), ZONE, accession_from_filler=False)[0].order.accession_number == ""


def test_every_obr_of_an_order_counts() -> None:
    text = (
        header("ORM^O01")
        + "\r"
        + pid()
        + "\rORC|CA|P1\rOBR|1|||A\rOBR|2|P2||B\rORC|NW|P3\rOBR|1|||C\rZDS|1.2.3^x"
    )
    found = orders(parse(text), ZONE)
    assert [(f.order.placer_order_number, f.cancelled) for f in found] == [("P1", True), ("P3", False)]


def test_same_order_has_the_same_key_however_much_is_known() -> None:
    early = orders(parse(order(accession="")), ZONE)[0].key
    late = orders(parse(order(accession="ACC9", control="SC")), ZONE)[0].key
    assert early == late


@pytest.mark.parametrize("trigger", ["A18", "A34", "A36", "A39", "A40", "A47"])
def test_merges_name_both(trigger: str) -> None:
    text = merge("N", "O").replace("A40^ADT_A39", trigger)
    pair = merges(parse(text), "HOSPITAL")[0]
    assert (pair.surviving.held[0].value, pair.retired.held[0].value) == ("N", "O")


def test_chain_of_merges_in_one_message_is_one_change_a_record() -> None:
    text = merge("B", "A").rstrip("\r") + "\r" + pid(patient_id="C") + "\rMRG|B^^^HOSPITAL^MR\r"
    message = parse(text)
    planned = changes(patients(message, "HOSPITAL"), merges(message, "HOSPITAL"))
    records = {key: Patient(id=key) for key in planned}
    for key, change in planned.items():
        apply(change, records[key], NOW)
    a, b, c = (patient_key("HOSPITAL", name) for name in "ABC")
    assert (records[a].merged_into, records[b].merged_into, records[c].merged_into) == (b, c, "")
    assert (records[b].absorbed, records[c].absorbed) == ([a], [b])


def test_newer_ids_replace_those_of_their_issuer() -> None:
    record = Patient(id="x")

    def say(ids: str, when: datetime) -> list[str]:
        message = parse(header("ADT^A08") + "\r" + f"PID|||{ids}||A^B")
        for change in changes(patients(message, "H"), []).values():
            apply(change, record, when)
        return [held.value for held in record.held]

    assert say("1^^^H~7^^^LAB", NOW) == ["1", "7"]
    assert say("1^^^H~8^^^LAB", NOW + timedelta(minutes=1)) == ["1", "8"]
    assert say("1^^^H~9^^^LAB~5^^^ELSE", NOW) == ["1", "8", "5"]
    assert "d:8" in record.tokens
    assert "d:9" not in record.tokens
