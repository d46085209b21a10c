"""Studies for the view service's tests, and its answers taken apart."""

import email.parser
import email.policy
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO

import httpx

from kit.access import AUDIENCES, Audience
from kit.dicom.pack import PackWriter
from kit.identity import ACCOUNTS, TOKENS, Account, Role, Token, token_id
from kit.service import Kit
from schemas.shapes import Demographics, PackRef, Sender, SeriesSummary, Study
from schemas.validate import StudyArrived, StudyUpdated
from tests.conftest import settle
from tests.unit.dicom.samples import dataset, part10, read

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STUDY = "/dicomweb/studies/1.2.3.4"
SERIES = f"{STUDY}/series/1.2.3.4.5"


async def login(kit: Kit, name: str, role: Role, origin: str = "") -> dict[str, str]:
    await kit.documents.save(ACCOUNTS, Account(id=name, name=name, roles=[role], origin=origin))
    await kit.documents.save(TOKENS, Token(id=token_id(name), account_id=name, created_at=NOW))
    return {"authorization": f"Bearer {name}"}


def pack(kit: Kit, name: str, files: Sequence[bytes], skipped: tuple[int, ...] = ()) -> PackRef:
    key, index_key = f"studies/{name}.dcm", f"studies/{name}.idx"
    with PackWriter(kit.objects, key, index_key) as writer:
        for number, data in enumerate(files):
            writer.add(read(data), BytesIO(data), str(number))
        instances, size, sha256 = writer.commit()
    return PackRef(
        id=name,
        batch_id="b",
        submission_id="s",
        key=key,
        index_key=index_key,
        instances=instances,
        bytes=size,
        sha256=sha256,
        skipped=skipped,
    )


def study(packs: Sequence[PackRef], *, name: str = "st1", origin: str = "clinic", revision: int = 1) -> Study:
    return Study(
        id=name,
        revision=revision,
        origin=origin,
        sender=Sender(id=origin, name=origin, origin=origin),
        study_instance_uid="1.2.3.4",
        patient=Demographics(patient_id="F-17", name="Müller^Jürgen", birth_date="19600203", sex="M"),
        accession_number="FOREIGN1",
        study_date="20250102",
        modalities=("CT",),
        series=(SeriesSummary(series_instance_uid="1.2.3.4.5", modality="CT", number="3", instances=2),),
        packs=tuple(packs),
        instances=sum(one.instances for one in packs),
        arrived_at=NOW,
        updated_at=NOW,
    )


async def arrive(kit: Kit, item: Study) -> None:
    kind = StudyArrived if item.revision == 1 else StudyUpdated
    step = f"{item.id}{item.revision}"
    await kit.bus.publish([kind.first(time=NOW, key=item.id, correlation_id="c", step=step, study=item)])
    await settle(kit)


def ct(number: int, **values: object) -> bytes:
    return part10(dataset(SOPInstanceUID=f"1.2.3.4.{number}", InstanceNumber=number, **values))


def parts_of(response: httpx.Response) -> list[tuple[str, bytes]]:
    """Content type and body of each part."""
    assert int(response.headers["content-length"]) == len(response.content)
    head = f"content-type: {response.headers['content-type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + response.content)
    boundary = b"\r\n--" + message.get_boundary("").encode()
    pieces = (b"\r\n" + response.content).split(boundary)[1:-1]
    found = []
    for piece in pieces:
        top, _, body = piece.partition(b"\r\n\r\n")
        kind = next(line for line in top.decode().split("\r\n") if line.lower().startswith("content-type"))
        found.append((kind.partition(": ")[2], body))
    return found


async def show(kit: Kit, study_id: str, *keys: str) -> None:
    """As portal does when a submission brought the study: who holds one of the keys may see it."""
    await kit.documents.save(AUDIENCES, Audience(id=study_id, keys=list(keys), arrived_at=NOW))
