"""Studies for the tests of forward: packs made from files, the decision on them, and a running service."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from kit.destinations import DESTINATIONS, Destination
from kit.dicom.instance import read_instance
from kit.dicom.pack import PackWriter
from kit.ids import derived_id, random_id
from kit.service import Kit
from schemas.envelope import Event
from schemas.portal import StudyDecided
from schemas.shapes import DecidedBy, Decision, Demographics, Order, PackRef, Sender, Study
from services.forward.app import build
from services.forward.models import DELIVERIES, Delivery
from services.forward.rules.states import State
from services.forward.settings import ForwardSettings

CT = "1.2.840.10008.5.1.4.1.1.2"
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
TARGET = Demographics(
    patient_id="LOCAL-4711", issuer="HOSPITAL", name="Müller^Jürgen", birth_date="19700102", sex="M"
)
QUICK = ForwardSettings(
    connect_timeout_s=2,
    answer_timeout_s=5,
    instance_retry_s=0.05,
    proof_retry_s=0.1,
    commitment_poll_s=0.1,
    max_attempts=3,
)


def ct(folder: Path, count: int, *, size: int = 64, study: str | None = None) -> list[Path]:
    """A CT series made at run time."""
    folder.mkdir(exist_ok=True)
    study, series = study or generate_uid(), generate_uid()
    made = []
    for number in range(count):
        dataset = Dataset()
        dataset.SOPClassUID = CT
        dataset.SOPInstanceUID = generate_uid()
        dataset.StudyInstanceUID = study
        dataset.SeriesInstanceUID = series
        dataset.PatientName = "Foreign^Name"
        dataset.PatientID = "F-1"
        dataset.PatientBirthDate = "19700102"
        dataset.PatientSex = "M"
        dataset.StudyDate = "20260101"
        dataset.Modality = "CT"
        dataset.InstanceNumber = number + 1
        dataset.Rows = dataset.Columns = size
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit = 15
        dataset.PixelRepresentation = 0
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.PixelData = bytes([number % 256, 1]) * (size * size)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = CT
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        path = folder / f"{number:05}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        made.append(path)
    return made


def make_pack(kit: Kit, files: Sequence[Path]) -> tuple[PackRef, dict[str, Any]]:
    """A pack of these files, and some of their header."""
    pack_id = random_id()
    key, index_key = f"studies/test/{pack_id}.dcm", f"studies/test/{pack_id}.idx"
    header: dict[str, Any] = {}
    with PackWriter(kit.objects, key, index_key) as writer:
        for ordinal, path in enumerate(files):
            with path.open("rb") as file:
                instance = read_instance(file, path.stat().st_size)
                writer.add(instance, file, str(ordinal))
            header = {"study": instance.study_instance_uid, "patient": instance.patient}
        instances, size, sha256 = writer.commit()
    pack = PackRef(
        id=pack_id,
        batch_id=random_id(),
        submission_id="sub",
        key=key,
        index_key=index_key,
        instances=instances,
        bytes=size,
        sha256=sha256,
    )
    return pack, header


def make_study(kit: Kit, files: Sequence[Path], *, per_pack: int = 50, revision: int = 1) -> Study:
    packs = []
    header: dict[str, Any] = {}
    for start in range(0, len(files), per_pack):
        pack, header = make_pack(kit, files[start : start + per_pack])
        packs.append(pack)
    return Study(
        id=derived_id("test-study", header["study"]),
        revision=revision,
        origin="elsewhere",
        sender=Sender(id="s", name="Clinic", origin="elsewhere"),
        study_instance_uid=header["study"],
        patient=header["patient"],
        packs=tuple(packs),
        submissions=("sub",),
        instances=len(files),
        bytes=sum(pack.bytes for pack in packs),
        arrived_at=NOW,
        updated_at=NOW,
    )


def decided(
    study: Study,
    *destinations: str,
    target: Demographics | None = TARGET,
    order: Order | None = None,
    minutes: int = 0,
    action: Literal["approve", "decline"] = "approve",
) -> StudyDecided:
    decision = Decision(
        id=random_id(),
        action=action,
        study_id=study.id,
        study_revision=study.revision,
        match_revision=1,
        by=DecidedBy(kind="person", id="p", name="Person"),
        time=NOW + timedelta(minutes=minutes),
        target=target,
        order=order,
        destinations=destinations,
    )
    return StudyDecided.first(
        time=NOW, key=study.id, correlation_id="c", step=decision.id, decision=decision, study=study
    )


@dataclass
class Running:
    """The forward service at work."""

    kit: Kit

    async def destination(self, **fields: Any) -> Destination:
        found = await self.kit.documents.get(DESTINATIONS, fields["id"])
        destination = Destination(**fields)
        destination.version = found.version if found else 0
        return await self.kit.documents.save(DESTINATIONS, destination)

    async def decide(self, event: StudyDecided) -> None:
        await self.kit.bus.publish([event])

    async def delivery(self, event: StudyDecided, destination: str) -> Delivery | None:
        page = await self.kit.documents.find(DELIVERIES, {"decision_id": event.decision.id})
        return next((item for item in page.items if item.destination == destination), None)

    async def until(
        self,
        event: StudyDecided,
        destination: str,
        condition: Callable[[Delivery], bool],
        timeout: float = 60,
    ) -> Delivery:
        delivery = None
        try:
            async with asyncio.timeout(timeout):
                while True:
                    delivery = await self.delivery(event, destination)
                    if delivery is not None and condition(delivery):
                        return delivery
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"it never came to that: {delivery!r}") from None

    async def ended(self, event: StudyDecided, destination: str, timeout: float = 60) -> Delivery:
        ends = (State.PROVEN, State.FAILED, State.CANCELLED)
        return await self.until(event, destination, lambda delivery: delivery.state in ends, timeout)

    async def events(self, *topics: str) -> list[Event]:
        return [event for _, event in await self.kit.bus.read(after=0, topics=topics, limit=1000)]


@asynccontextmanager
async def forwarding(kit: Kit, settings: ForwardSettings = QUICK) -> AsyncIterator[Running]:
    service = build(kit, settings)
    await kit.bus.start()
    for start in service.start:
        await start()
    try:
        yield Running(kit)
    finally:
        for stop in service.stop:
            await stop()
