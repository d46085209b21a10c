"""Identity put into stored headers: what changes, what is recorded, and that nothing else moves."""

from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path
from struct import pack

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEGBaseline8Bit

from kit.dicom.elements import Span
from kit.dicom.pack import PackEntry
from kit.dicom.reconcile import reconcile
from kit.objects.files import FileObjects
from schemas.shapes import Demographics, Order
from tests.unit.dicom.packing import content, packed
from tests.unit.dicom.samples import dataset, encapsulated, frame, implicit10, part10, read

WHEN = datetime(2026, 3, 1, 13, 0, 5, 250000, tzinfo=timezone(timedelta(hours=1)))
TARGET = Demographics(patient_id="L-1", issuer="HOSPITAL", name="Doe^Jane", birth_date="19700101", sex="F")
ORDER = Order(
    accession_number="ACC7",
    accession_issuer="RIS&1.2.9&ISO",
    requested_procedure_id="RP1",
    requested_procedure_description="CT Thorax",
    scheduled_step_id="SPS1",
)


class Stored:
    def __init__(self, folder: Path, data: bytes) -> None:
        objects = FileObjects(folder)
        self.entry: PackEntry = packed(objects, [data]).entries[0]
        self.bytes = content(objects, self.entry)
        self.before = pydicom.dcmread(BytesIO(self.bytes))

    def pieces(self, target: Demographics | None = TARGET, order: Order | None = None) -> list[bytes | Span]:
        head = (
            self.bytes if self.entry.pixel_end != self.entry.length else self.bytes[: self.entry.header_end]
        )
        return reconcile(
            BytesIO(head),
            self.entry,
            target=target,
            order=order,
            decided_at=WHEN,
            source="Clinic Elsewhere",
            modifying_system="ANTEROOM",
        )

    def after(self, target: Demographics | None = TARGET, order: Order | None = None) -> Dataset:
        return pydicom.dcmread(BytesIO(self.file(target, order)))

    def file(self, target: Demographics | None = TARGET, order: Order | None = None) -> bytes:
        made = b"".join(
            piece if isinstance(piece, bytes) else self.bytes[piece.offset : piece.offset + piece.length]
            for piece in self.pieces(target, order)
        )
        return self.bytes[: self.entry.dataset_offset] + made


@pytest.mark.parametrize("write", [part10, implicit10])
def test_identity_and_order_are_coerced(tmp_path: Path, write) -> None:
    after = Stored(tmp_path, write(dataset())).after(order=ORDER)
    assert (after.PatientName, after.PatientID, after.IssuerOfPatientID) == ("Doe^Jane", "L-1", "HOSPITAL")
    assert (after.PatientBirthDate, after.PatientSex) == ("19700101", "F")
    assert after.AccessionNumber == "ACC7"
    issuer = after.IssuerOfAccessionNumberSequence[0]
    assert (issuer.LocalNamespaceEntityID, issuer.UniversalEntityID, issuer.UniversalEntityIDType) == (
        "RIS",
        "1.2.9",
        "ISO",
    )
    request = after.RequestAttributesSequence[0]
    assert (request.AccessionNumber, request.RequestedProcedureID) == ("ACC7", "RP1")
    assert request.RequestedProcedureDescription == "CT Thorax"
    assert request.ScheduledProcedureStepID == "SPS1"


def test_uids_study_id_and_all_else_stay(tmp_path: Path) -> None:
    stored = Stored(tmp_path, part10(dataset()))
    after = stored.after(order=ORDER)
    coerced = {"PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber"}
    for element in stored.before:
        if element.keyword not in coerced:
            assert after[element.tag] == element
    added = {element.keyword for element in after} - {element.keyword for element in stored.before}
    assert added == {
        "IssuerOfPatientID",
        "IssuerOfAccessionNumberSequence",
        "RequestAttributesSequence",
        "OriginalAttributesSequence",
    }


def test_the_values_before_are_recorded(tmp_path: Path) -> None:
    record = Stored(tmp_path, part10(dataset())).after(order=ORDER).OriginalAttributesSequence[0]
    assert record.AttributeModificationDateTime == "20260301120005.250000+0000"
    assert record.ModifyingSystem == "ANTEROOM"
    assert record.SourceOfPreviousValues == "Clinic Elsewhere"
    assert record.ReasonForTheAttributeModification == "COERCE"
    before = record.ModifiedAttributesSequence[0]
    assert (before.PatientName, before.PatientID) == ("Müller^Jürgen", "F-17")
    assert before.AccessionNumber == "FOREIGN1"
    assert before.IssuerOfPatientID == ""
    assert len(before.RequestAttributesSequence) == 0


def test_earlier_records_are_kept(tmp_path: Path) -> None:
    made = dataset()
    earlier = Dataset()
    earlier.ModifyingSystem = "ELSEWHERE"
    earlier.SourceOfPreviousValues = "Ärzte"
    for undefined in (True, False):
        made.OriginalAttributesSequence = Sequence([earlier])
        made["OriginalAttributesSequence"].is_undefined_length = undefined
        after = Stored(tmp_path, part10(made)).after()
        assert [item.ModifyingSystem for item in after.OriginalAttributesSequence] == [
            "ELSEWHERE",
            "ANTEROOM",
        ]
        wide = Stored(tmp_path, part10(made)).after(TARGET.model_copy(update={"name": "Łoś^Jan"}))
        assert [item.ModifyingSystem for item in wide.OriginalAttributesSequence] == ["ELSEWHERE", "ANTEROOM"]
        assert wide.OriginalAttributesSequence[0].SourceOfPreviousValues == "Ärzte"


def test_earlier_records_of_unknown_vr_are_kept(tmp_path: Path) -> None:
    value = b"\xfe\xff\x00\xe0\x12\0\0\0" + b"\0\x04\x63\x05\x0a\0\0\0ELSEWHERE "
    data = part10(dataset())
    place = data.index(b"\xe0\x7f\x10\0")
    unknown = pack("<HH2sHI", 0x0400, 0x0561, b"UN", 0, len(value)) + value
    stored = Stored(tmp_path, data[:place] + unknown + data[place:])
    for name in ("Doe^Jane", "Łoś^Jan"):
        after = stored.after(TARGET.model_copy(update={"name": name}))
        assert [item.ModifyingSystem for item in after.OriginalAttributesSequence] == [
            "ELSEWHERE",
            "ANTEROOM",
        ]


def test_without_a_target_it_goes_as_it_came(tmp_path: Path) -> None:
    stored = Stored(tmp_path, part10(dataset()))
    assert stored.pieces(None) == [
        Span(stored.entry.dataset_offset, stored.entry.length - stored.entry.dataset_offset)
    ]


def test_what_is_right_already_is_not_touched(tmp_path: Path) -> None:
    stored = Stored(tmp_path, part10(dataset()))
    once = stored.file(order=ORDER)
    again = Stored(tmp_path, once)
    assert again.file(order=ORDER) == once


def test_what_the_hospital_does_not_know_stays(tmp_path: Path) -> None:
    after = Stored(tmp_path, part10(dataset())).after(Demographics(patient_id="L-1", name="Doe^Jane"))
    assert (after.PatientBirthDate, after.PatientSex) == ("19600203", "M")
    assert "IssuerOfPatientID" not in after


def test_without_an_order_the_foreign_request_is_taken_out(tmp_path: Path) -> None:
    made = dataset()
    request = Dataset()
    request.RequestedProcedureID = "FOREIGN"
    made.RequestAttributesSequence = Sequence([request])
    made.RequestedProcedureDescription = "Foreign"
    made.IssuerOfPatientID = "ELSEWHERE"
    after = Stored(tmp_path, part10(made)).after()
    assert after.AccessionNumber == ""
    assert "RequestAttributesSequence" not in after
    assert "RequestedProcedureDescription" not in after
    before = after.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert before.RequestAttributesSequence[0].RequestedProcedureID == "FOREIGN"
    assert before.RequestedProcedureDescription == "Foreign"
    assert before.IssuerOfPatientID == "ELSEWHERE"


def test_values_the_character_set_has_keep_it(tmp_path: Path) -> None:
    target = TARGET.model_copy(update={"name": "Größe^Zoë"})
    after = Stored(tmp_path, part10(dataset())).after(target)
    assert after.SpecificCharacterSet == "ISO_IR 100"
    assert after.PatientName == "Größe^Zoë"
    assert after.ProcedureCodeSequence[0].CodeMeaning == "Schädel"


@pytest.mark.parametrize("write", [part10, implicit10])
def test_other_values_turn_all_text_into_utf8(tmp_path: Path, write) -> None:
    inner = Dataset()
    inner.SpecificCharacterSet = "ISO_IR 144"
    inner.CodeMeaning = "Люк"
    outer = Dataset()
    outer.CodeMeaning = "Größe"
    outer.EquivalentCodeSequence = Sequence([inner])
    made = dataset(ProcedureCodeSequence=Sequence([outer]))
    made.add_new(0x00091010, "LO", "VENDOR")
    made.add_new(0x00091001, "LO", "Prüfung")
    target = TARGET.model_copy(update={"name": "Wong^Tai=王^大"})
    stored = Stored(tmp_path, write(made))
    after = stored.after(target, ORDER)
    assert after.SpecificCharacterSet == "ISO_IR 192"
    assert after.PatientName == "Wong^Tai=王^大"
    item = after.ProcedureCodeSequence[0]
    assert item.CodeMeaning == "Größe"
    assert item.EquivalentCodeSequence[0].CodeMeaning == "Люк"
    assert item.EquivalentCodeSequence[0].SpecificCharacterSet == "ISO_IR 192"
    assert after.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].PatientName == "Müller^Jürgen"
    assert after.PixelData == stored.before.PixelData
    if write is part10:
        assert after[0x00091001].value == "Prüfung"


def test_text_of_unnamed_character_sets_is_carried_over(tmp_path: Path) -> None:
    data = part10(dataset()).replace(b"\x08\0\x05\0CS\x0a\0ISO_IR 100", b"")
    after = Stored(tmp_path, data).after(TARGET.model_copy(update={"name": "Łoś^Jan"}))
    assert after.SpecificCharacterSet == "ISO_IR 192"
    assert after.ProcedureCodeSequence[0].CodeMeaning == "Schädel"


def test_compressed_pixels_and_what_follows_them(tmp_path: Path) -> None:
    frames = [b"\xff\xd8\xff\xe0ab", b"\xff\xd8\xff\xe0cdef"]
    made = encapsulated(frames, frames=2)
    made.add_new(0xFFFCFFFC, "OB", b"\0" * 6)
    stored = Stored(tmp_path, part10(made, JPEGBaseline8Bit))
    for name in ("Doe^Jane", "Łoś^Jan"):
        data = stored.file(TARGET.model_copy(update={"name": name}))
        instance = read(data)
        assert instance.findings == ()
        assert [frame(instance, data, n) for n in range(2)] == frames
        assert data[instance.pixel_end :] == stored.bytes[stored.entry.pixel_end :]


def test_group_lengths_of_changed_groups_go(tmp_path: Path) -> None:
    data = part10(dataset())
    start, end = data.index(b"\x10\0\x10\0PN"), data.index(b"\x18\0\x50\0DS")
    length = b"\x10\0\0\0UL\x04\0" + (end - start).to_bytes(4, "little")
    stored = Stored(tmp_path, data[:start] + length + data[start:])
    assert 0x00100000 in stored.before
    assert 0x00100000 not in stored.after()


def test_the_same_decision_gives_the_same_bytes(tmp_path: Path) -> None:
    stored = Stored(tmp_path, part10(dataset()))
    assert stored.file(order=ORDER) == stored.file(order=ORDER)


def test_time_is_written_in_utc() -> None:
    assert WHEN.astimezone(UTC).hour == 12


def test_issuer_as_hierarchic_designator(tmp_path: Path) -> None:
    after = Stored(tmp_path, part10(dataset())).after(TARGET.model_copy(update={"issuer": "MPI&1.2.3&ISO"}))
    assert after.IssuerOfPatientID == "MPI"
    assert after.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID == "1.2.3"
