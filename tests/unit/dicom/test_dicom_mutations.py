"""Damage at random: reading ends in an instance or in a refusal, and what is stored reads again."""

from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, JPEGBaseline8Bit

from kit.dicom.dicomdir import read_dicomdir
from kit.dicom.errors import BrokenDicom, NotDicom
from kit.dicom.reconcile import reconcile
from schemas.shapes import Demographics
from tests.unit.dicom.packing import entry_of
from tests.unit.dicom.samples import dataset, encapsulated, implicit10, part10, read, stored


def seeds() -> list[bytes]:
    item = Dataset()
    item.CodeMeaning = "inner"
    item.EquivalentCodeSequence = Sequence([Dataset(), Dataset()])
    nested = dataset(ProcedureCodeSequence=Sequence([item, item]))
    nested["ProcedureCodeSequence"].is_undefined_length = True
    return [
        part10(nested),
        implicit10(nested),
        part10(encapsulated([b"\xff\xd8\xff\xe0ab", b"\xff\xd8\xff\xe0cdef"], frames=2), JPEGBaseline8Bit),
        part10(dataset(), DeflatedExplicitVRLittleEndian),
        part10(dataset(), ExplicitVRBigEndian),
    ]


SEEDS = seeds()
CHANGES = st.lists(
    st.tuples(
        st.integers(0, 1200),
        st.integers(0, 4),
        st.one_of(
            st.binary(max_size=4),
            st.sampled_from(
                [
                    b"\xff\xff\xff\xff",
                    b"\xfe\xff\x00\xe0",
                    b"\xfe\xff\xdd\xe0",
                    b"\xfe\xff\x0d\xe0",
                    b"SQ",
                    b"UN",
                    b"OB",
                ]
            ),
        ),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.sampled_from(SEEDS), changes=CHANGES, cut=st.integers(0, 1500))
def test_damaged_files_end_in_an_answer(seed: bytes, changes, cut: int) -> None:
    data = damaged(seed, changes)
    if cut < 300:
        data = data[: len(data) - cut]
    for start in (0, 132):
        try:
            instance = read(data[start:])
        except (BrokenDicom, NotDicom):
            continue
        made = stored(instance, data[start:])
        again = read(made)
        assert again.sop_instance_uid == instance.sop_instance_uid
        assert (again.size, again.header_end, again.pixel_end) == (
            instance.size,
            instance.header_end,
            instance.pixel_end,
        )
        assert again.pieces[-1:] == instance.pieces[-1:] or again.source is None
        assert orjson.loads(again.json) == orjson.loads(instance.json)
        assert again.frames == instance.frames


def damaged(seed: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    data = seed
    for place, removed, added in changes:
        place %= len(data) or 1
        data = data[:place] + added + data[place + removed :]
    return data


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.sampled_from(SEEDS), changes=CHANGES, name=st.sampled_from(["Doe^Jane", "Łoś^Jan"]))
def test_damaged_files_are_reconciled_or_refused(seed: bytes, changes, name: str) -> None:
    data = damaged(seed, changes)
    target = Demographics(patient_id="L1", issuer="HOSPITAL", name=name, birth_date="19700101", sex="F")
    with suppress(BrokenDicom, NotDicom):
        instance = read(data)
        made = stored(instance, data)
        pieces = reconcile(
            BytesIO(made),
            entry_of(instance),
            target=target,
            order=None,
            decided_at=datetime(2026, 1, 1, tzinfo=UTC),
            source="Elsewhere",
            modifying_system="ANTEROOM",
        )
        sent = made[: instance.dataset_offset] + b"".join(
            piece if isinstance(piece, bytes) else made[piece.offset : piece.offset + piece.length]
            for piece in pieces
        )
        again = read(sent)
        assert again.patient == target
        assert again.accession_number == ""
        assert again.sop_instance_uid == instance.sop_instance_uid
        assert sent[again.header_end : again.pixel_end] == made[instance.header_end : instance.pixel_end]


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=400))
def test_noise_ends_in_an_answer(data: bytes) -> None:
    for file in (data, b"\0" * 128 + b"DICM" + data):
        with suppress(BrokenDicom, NotDicom):
            read(file)
        with suppress(BrokenDicom, NotDicom):
            read_dicomdir(BytesIO(file))
