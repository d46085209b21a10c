"""To a real Orthanc: storage commitment, queries, STOW-RS and QIDO-RS."""

from io import BytesIO
from pathlib import Path

import pydicom

from anteroom.demo.orthanc import Modality, Orthanc
from kit.service import Kit
from schemas.forward import StudyForwarded
from schemas.shapes import Order
from services.forward.rules.states import State
from tests.component.forward.comparing import assert_same_but_for_identity
from tests.component.forward.door import report_door
from tests.component.forward.studies import TARGET, ct, decided, forwarding, make_study


def where(orthanc: Orthanc, **more: object) -> dict[str, object]:
    return {
        "id": "pacs",
        "host": orthanc.host,
        "port": orthanc.dicom_port,
        "called_ae": orthanc.ae_title,
        **more,
    }


def stored(orthanc: Orthanc, uid: str) -> pydicom.FileDataset:
    content = orthanc.instance_file(uid)
    assert content is not None
    return pydicom.dcmread(BytesIO(content))


async def test_storage_commitment_proves_it(kit_env: Kit, orthanc: Orthanc, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 70)
    async with forwarding(kit_env) as running, report_door(kit_env.bus) as port:
        orthanc.register(Modality("ANTEROOM", "127.0.0.1", port))
        await running.destination(**where(orthanc))
        study = make_study(kit_env, files)
        event = decided(study, "pacs")
        await running.decide(event)
        delivery = await running.ended(event, "pacs")
        assert delivery.state is State.PROVEN, delivery.last_error
        (forwarded,) = await running.events("study-forwarded")
    assert isinstance(forwarded, StudyForwarded)
    assert (forwarded.instances, forwarded.proof.kind, forwarded.proof.instances) == (
        70,
        "storage-commitment",
        70,
    )
    assert forwarded.cause == event.id
    assert orthanc.count_instances(study.study_instance_uid) == 70
    for path in files:
        sent = pydicom.dcmread(path)
        assert_same_but_for_identity(sent, stored(orthanc, sent.SOPInstanceUID))


async def test_a_query_proves_it_when_no_report_comes(kit_env: Kit, orthanc: Orthanc, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 3)
    orthanc.register(Modality("ANTEROOM", "127.0.0.1", 1))
    async with forwarding(kit_env) as running:
        await running.destination(**where(orthanc, commitment_timeout_s=0.5))
        event = decided(make_study(kit_env, files), "pacs")
        await running.decide(event)
        delivery = await running.ended(event, "pacs")
        assert delivery.state is State.PROVEN, delivery.last_error
        assert delivery.proof is not None
        assert delivery.proof.kind == "image-query"
        assert "commitment-late" in [note.code for note in delivery.notes]


async def test_a_destination_without_commitment_is_asked_by_query(
    kit_env: Kit, orthanc: Orthanc, tmp_path: Path
) -> None:
    files = ct(tmp_path / "a", 2) + ct(tmp_path / "b", 1)
    studies = [make_study(kit_env, files[:2]), make_study(kit_env, files[2:])]
    async with forwarding(kit_env) as running:
        await running.destination(**where(orthanc, commitment=False))
        for study in studies:
            event = decided(study, "pacs")
            await running.decide(event)
            delivery = await running.ended(event, "pacs")
            assert delivery.state is State.PROVEN, delivery.last_error
            assert delivery.proof is not None
            assert delivery.proof.kind == "image-query"
            assert not delivery.notes


async def test_stow_and_qido(kit_env: Kit, orthanc: Orthanc, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 70)
    async with forwarding(kit_env) as running:
        await running.destination(id="pacs", kind="stow", url=f"{orthanc.url}/dicom-web")
        study = make_study(kit_env, files)
        event = decided(study, "pacs")
        await running.decide(event)
        delivery = await running.ended(event, "pacs")
        assert delivery.state is State.PROVEN, delivery.last_error
        assert delivery.proof is not None
        assert delivery.proof.kind == "image-query"
    for path in files:
        sent = pydicom.dcmread(path)
        assert_same_but_for_identity(sent, stored(orthanc, sent.SOPInstanceUID))


async def test_late_images_are_the_only_ones_sent(kit_env: Kit, orthanc: Orthanc, tmp_path: Path) -> None:
    first = ct(tmp_path / "a", 4)
    uid = str(pydicom.dcmread(first[0]).StudyInstanceUID)
    late = ct(tmp_path / "b", 2, study=uid)
    async with forwarding(kit_env) as running:
        await running.destination(**where(orthanc, commitment=False))
        study = make_study(kit_env, first)
        event = decided(study, "pacs")
        await running.decide(event)
        assert (await running.ended(event, "pacs")).state is State.PROVEN
        more = make_study(kit_env, late)
        again = study.model_copy(update={"revision": 2, "packs": (*study.packs, *more.packs), "instances": 6})
        event = decided(again, "pacs", minutes=1)
        await running.decide(event)
        delivery = await running.ended(event, "pacs")
        assert delivery.state is State.PROVEN, delivery.last_error
        assert (delivery.total, delivery.already) == (6, 4)
    assert orthanc.count_instances(uid) == 6


async def test_another_patient_sends_all_again_and_the_earlier_copy_is_noted(
    kit_env: Kit, orthanc: Orthanc, tmp_path: Path
) -> None:
    files = ct(tmp_path / "a", 3)
    other = TARGET.model_copy(update={"patient_id": "LOCAL-9", "name": "Right^Person"})
    async with forwarding(kit_env) as running:
        await running.destination(**where(orthanc, commitment=False))
        study = make_study(kit_env, files)
        event = decided(study, "pacs")
        await running.decide(event)
        assert (await running.ended(event, "pacs")).state is State.PROVEN
        event = decided(study, "pacs", target=other, minutes=1)
        await running.decide(event)
        delivery = await running.ended(event, "pacs")
        assert delivery.state is State.PROVEN, delivery.last_error
        assert delivery.already == 0
        assert [note.code for note in delivery.notes] == ["earlier-identity-remains"]
    assert orthanc.count_all() == 6


async def test_success_for_an_identity_that_was_not_taken_is_seen(
    kit_env: Kit, orthanc: Orthanc, tmp_path: Path
) -> None:
    """Orthanc answers success and keeps what it had; even told to overwrite, its index of studies
    keeps the accession number that came first. A person has to put that right there."""
    files = ct(tmp_path / "a", 3)
    async with forwarding(kit_env) as running:
        await running.destination(**where(orthanc, commitment=False))
        study = make_study(kit_env, files)
        event = decided(study, "pacs", order=Order(accession_number="A1"))
        await running.decide(event)
        assert (await running.ended(event, "pacs")).state is State.PROVEN
        event = decided(study, "pacs", order=Order(accession_number="A2"), minutes=1)
        await running.decide(event)
        delivery = await running.ended(event, "pacs")
        assert delivery.state is State.FAILED
        assert "under the earlier identity" in delivery.last_error
