"""DICOMweb over real packs on the embedded adapters."""

from io import BytesIO

import httpx
import pydicom
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from kit.service import Kit
from tests.component.view.samples import SERIES, STUDY, arrive, ct, pack, parts_of, study
from tests.unit.dicom.samples import dataset, encapsulated, part10

FRAMES = [b"\xff\xd8\xff\xe0ab", b"\xff\xd8\xff\xe0cdef"]


async def test_a_study_is_found_and_read_back(kit_env: Kit, client: httpx.AsyncClient) -> None:
    files = [ct(1), ct(2)]
    await arrive(kit_env, study([pack(kit_env, "p1", files)]))
    (row,) = (await client.get("/dicomweb/studies", params={"PatientName": "müller*"})).json()
    assert row["0020000D"]["Value"] == ["1.2.3.4"]
    assert row["00081190"]["Value"] == ["http://here/dicomweb/study/st1/studies/1.2.3.4"]
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
    multipart = {"accept": 'multipart/related; type="application/octet-stream"'}
    ((_, body),) = parts_of(await client.get(second["00091011"]["BulkDataURI"], headers=multipart))
    assert body == bulk.content
    part = await client.get(second["00091011"]["BulkDataURI"], headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, bulk.content[10:20])


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


async def test_bad_questions_get_a_sentence(client: httpx.AsyncClient) -> None:
    answer = await client.get("/dicomweb/studies", params={"PixelData": "1"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-query")


async def test_pydicom_reads_what_is_sent(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await arrive(kit_env, study([pack(kit_env, "p1", [ct(1)])]))
    ((_, body),) = parts_of(await client.get(f"{SERIES}/instances/1.2.3.4.1"))
    assert pydicom.dcmread(BytesIO(body)).SOPInstanceUID == "1.2.3.4.1"


async def test_a_compressed_instance_comes_decompressed_to_who_names_no_syntax(
    kit_env: Kit, client: httpx.AsyncClient
) -> None:
    plain = dcmread(BytesIO(ct(1)))
    pixels = plain.PixelData
    plain.compress(RLELossless, generate_instance_uid=False)
    packed = BytesIO()
    plain.save_as(packed)
    await arrive(kit_env, study([pack(kit_env, "p1", [packed.getvalue()])]))
    single = await client.get(f"{SERIES}/instances/1.2.3.4.1", headers={"accept": "application/dicom"})
    parts = parts_of(
        await client.get(
            f"{SERIES}/instances/1.2.3.4.1",
            headers={"accept": 'multipart/related; type="application/dicom"'},
        )
    )
    assert single.status_code == 200, single.text
    for content in (single.content, parts[0][1]):
        found = dcmread(BytesIO(content))
        assert (found.file_meta.TransferSyntaxUID, found.PixelData) == (ExplicitVRLittleEndian, pixels)
    assert int(single.headers["content-length"]) == len(single.content)
