"""DICOMweb over real packs on the embedded adapters."""

import email.parser
import email.policy
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from io import BytesIO

import httpx
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit

from kit.dicom.pack import PackWriter
from kit.identity import ACCOUNTS, TOKENS, Account, Role, Token, token_id
from kit.service import Kit
from kit.web import build_app
from schemas.shapes import Demographics, PackRef, Sender, SeriesSummary, Study
from schemas.validate import StudyArrived, StudyUpdated
from services.view.app import build
from services.view.settings import ViewSettings
from tests.conftest import settle
from tests.unit.dicom.samples import dataset, encapsulated, part10, read

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STUDY = "/dicomweb/studies/1.2.3.4"
SERIES = f"{STUDY}/series/1.2.3.4.5"
FRAMES = [b"\xff\xd8\xff\xe0ab", b"\xff\xd8\xff\xe0cdef"]


@pytest.fixture
async def client(kit_env: Kit) -> AsyncIterator[httpx.AsyncClient]:
    """As a viewer; other accounts by their header."""
    service = build(kit_env, ViewSettings())
    await kit_env.bus.start()
    headers = await login(kit_env, "viewer", Role.VIEW)
    transport = httpx.ASGITransport(app=build_app(kit_env, [service]))
    async with httpx.AsyncClient(transport=transport, base_url="http://here", headers=headers) as made:
        yield made


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


async def test_a_study_is_found_and_read_back(kit_env: Kit, client: httpx.AsyncClient) -> None:
    files = [ct(1), ct(2)]
    await arrive(kit_env, study([pack(kit_env, "p1", files)]))
    (row,) = (await client.get("/dicomweb/studies", params={"PatientName": "müller*"})).json()
    assert row["0020000D"]["Value"] == ["1.2.3.4"]
    assert row["00081190"]["Value"][0].endswith("/dicomweb/studies/1.2.3.4")
    (series,) = (await client.get(f"{STUDY}/series")).json()
    assert series["00201209"]["Value"] == [2]
    instances = (await client.get(f"{SERIES}/instances", params={"limit": 1, "offset": 1})).json()
    assert [one["00080018"]["Value"][0] for one in instances] == ["1.2.3.4.2"]
    for address in (STUDY, SERIES):
        parts = parts_of(await client.get(address))
        assert [body for _, body in parts] == files
        assert parts[0][0] == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    single = await client.get(f"{SERIES}/instances/1.2.3.4.2", headers={"accept": "application/dicom"})
    assert single.content == files[1]


async def test_metadata_is_the_header(kit_env: Kit, client: httpx.AsyncClient) -> None:
    large = dataset(SOPInstanceUID="1.2.3.4.2")
    large.add_new(0x00091010, "LO", "VENDOR")
    large.add_new(0x00091011, "OB", bytes(range(250)) * 100)
    files = [ct(1), part10(large)]
    await arrive(kit_env, study([pack(kit_env, "p1", files)]))
    for address in (f"{STUDY}/metadata", f"{SERIES}/metadata"):
        answer = await client.get(address)
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["content-type"] == "application/dicom+json"
        first, second = answer.json()
        assert Dataset.from_json(first).PatientName == "Müller^Jürgen"
        plain = await client.get(address, headers={"accept-encoding": "identity"})
        assert plain.json() == [first, second]
    (alone,) = (await client.get(f"{SERIES}/instances/1.2.3.4.1/metadata")).json()
    assert alone == first
    bulk = await client.get(second["00091011"]["BulkDataURI"], headers={"accept": "application/octet-stream"})
    assert bulk.content == bytes(range(250)) * 100
    ((_, body),) = parts_of(await client.get(second["00091011"]["BulkDataURI"]))
    assert body == bulk.content


async def test_frames_as_stored(kit_env: Kit, client: httpx.AsyncClient) -> None:
    jpeg = part10(encapsulated(FRAMES, frames=2, SOPInstanceUID="1.2.3.4.2"), JPEGBaseline8Bit)
    await arrive(kit_env, study([pack(kit_env, "p1", [ct(1), jpeg])]))
    parts = parts_of(await client.get(f"{SERIES}/instances/1.2.3.4.2/frames/2,1"))
    assert [body for _, body in parts] == [FRAMES[1], FRAMES[0]]
    assert parts[0][0] == f"application/octet-stream; transfer-syntax={JPEGBaseline8Bit}"
    ((_, native),) = parts_of(await client.get(f"{SERIES}/instances/1.2.3.4.1/frames/1"))
    assert native == dataset().PixelData
    for wrong, status in (("3", 404), ("0", 404), ("x", 400), ("1;2", 400)):
        assert (await client.get(f"{SERIES}/instances/1.2.3.4.2/frames/{wrong}")).status_code == status


async def test_bit_packed_frames_are_aligned(kit_env: Kit, client: httpx.AsyncClient) -> None:
    made = dataset(NumberOfFrames=2, Rows=3, Columns=3, BitsAllocated=1, BitsStored=1, HighBit=0)
    made.PixelData = (0b111_000_111 | 0b010_101_010 << 9).to_bytes(4, "little")
    await arrive(kit_env, study([pack(kit_env, "p1", [part10(made)])]))
    parts = parts_of(await client.get(f"{SERIES}/instances/1.2.3.4.1/frames/1,2"))
    assert [int.from_bytes(body, "little") for _, body in parts] == [0b111_000_111, 0b010_101_010]


async def test_late_images_and_repetition(kit_env: Kit, client: httpx.AsyncClient) -> None:
    one, two = pack(kit_env, "p1", [ct(1)]), pack(kit_env, "p2", [ct(1), ct(2)], skipped=(0,))
    await arrive(kit_env, study([one, two], revision=2))
    await arrive(kit_env, study([one]))
    instances = (await client.get(f"{STUDY}/instances")).json()
    assert [row["00080018"]["Value"][0] for row in instances] == ["1.2.3.4.1", "1.2.3.4.2"]


async def test_senders_see_their_own_alone(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await arrive(kit_env, study([pack(kit_env, "p1", [ct(1)])]))
    await arrive(kit_env, study([pack(kit_env, "p2", [ct(1), ct(2)])], name="st2", origin="other"))
    other = await login(kit_env, "o", Role.SEND, "other")
    stranger = await login(kit_env, "s", Role.SEND, "third")
    assert len((await client.get("/dicomweb/studies")).json()) == 2
    assert len((await client.get("/dicomweb/studies", headers=other)).json()) == 1
    assert len((await client.get(f"{STUDY}/instances", headers=other)).json()) == 2
    assert (await client.get("/dicomweb/studies", headers=stranger)).json() == []
    unknown = await client.get("/dicomweb/studies/9.9/metadata", headers=stranger)
    for address in (STUDY, f"{STUDY}/series", f"{STUDY}/metadata", f"{SERIES}/instances/1.2.3.4.1/frames/1"):
        answer = await client.get(address, headers=stranger)
        assert answer.status_code == 404
        assert answer.json() == unknown.json()
    assert (await client.get(STUDY, headers={"authorization": ""})).status_code == 401


async def test_the_same_uid_from_two_origins_is_shown_together(
    kit_env: Kit, client: httpx.AsyncClient
) -> None:
    await arrive(kit_env, study([pack(kit_env, "p1", [ct(1)])]))
    await arrive(kit_env, study([pack(kit_env, "p2", [ct(1), ct(2)])], name="st2", origin="other"))
    assert len((await client.get(f"{STUDY}/instances")).json()) == 2
    assert len((await client.get(f"{STUDY}/series")).json()) == 1


async def test_bad_questions_get_a_sentence(client: httpx.AsyncClient) -> None:
    answer = await client.get("/dicomweb/studies", params={"PixelData": "1"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-query")


async def test_pydicom_reads_what_is_sent(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await arrive(kit_env, study([pack(kit_env, "p1", [ct(1)])]))
    ((_, body),) = parts_of(await client.get(f"{SERIES}/instances/1.2.3.4.1"))
    assert pydicom.dcmread(BytesIO(body)).SOPInstanceUID == "1.2.3.4.1"
