"""Pictures, films and documents."""

import asyncio
from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom.uid import MPEG4HP41, JPEGBaseline8Bit

from kit.service import Kit
from schemas.shapes import Study
from tests.component.view.samples import SERIES, STUDY, arrive, ct, pack, study
from tests.unit.dicom.samples import dataset, encapsulated, part10

IMAGE = f"{SERIES}/instances/1.2.3.4.1"
FILM = bytes(range(256)) * 40


def film() -> bytes:
    made = encapsulated([FILM[:5000], FILM[5000:]], frames=30, SOPInstanceUID="1.2.3.4.1")
    return part10(made, MPEG4HP41)


def document() -> bytes:
    made = dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", Modality="DOC")
    for name in ("Rows", "Columns", "BitsAllocated", "PixelData", "SamplesPerPixel"):
        delattr(made, name)
    made.EncapsulatedDocument = b"%PDF-1.4\n" + b"x" * 99_991
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    return part10(made)


async def holding(kit: Kit, *files: bytes) -> Study:
    made = study([pack(kit, "p1", files)])
    await arrive(kit, made)
    return made


def grey(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(BytesIO(answer.content)).convert("L"), dtype=int)


async def test_a_window_is_applied(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await holding(kit_env, ct(1))
    png = {"accept": "image/png"}
    answer = await client.get(f"{IMAGE}/rendered?window=12,24,linear-exact", headers=png)
    assert answer.headers["content-type"] == "image/png"
    assert np.abs(grey(answer).reshape(-1) - np.arange(24) * 255 / 24).max() <= 1
    narrow = grey(await client.get(f"{IMAGE}/rendered?window=12,1,linear-exact", headers=png))
    assert set(narrow.reshape(-1)) <= {0, 127, 255}
    frame = await client.get(f"{IMAGE}/frames/1/rendered?window=12,24,linear-exact", headers=png)
    assert np.array_equal(grey(frame), grey(answer))


async def test_viewport_and_part_of_an_image(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await holding(kit_env, ct(1))
    for query, size in (
        ("viewport=60,60", (60, 40)),
        ("viewport=60,60,0,0,3,2", (60, 40)),
        ("viewport=60,20", (30, 20)),
    ):
        answer = await client.get(f"{IMAGE}/rendered?{query}")
        assert Image.open(BytesIO(answer.content)).size == size
    window = "window=12,24,linear-exact"
    png = {"accept": "image/png"}
    plain = grey(await client.get(f"{IMAGE}/rendered?{window}", headers=png))
    turned = grey(await client.get(f"{IMAGE}/rendered?{window}&viewport=6,4,0,0,-6,4", headers=png))
    assert np.array_equal(turned, plain[:, ::-1])


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("viewport=0,5", 400),
        ("viewport=9999,5", 400),
        ("viewport=5", 400),
        ("window=1", 400),
        ("window=40,0", 400),
        ("window=40,400,round", 400),
        ("quality=101", 400),
        ("accept=image/gif", 406),
        ("viewport=5,5,9,9,2,2", 406),
    ],
)
async def test_what_makes_no_sense(kit_env: Kit, client: httpx.AsyncClient, query: str, status: int) -> None:
    await holding(kit_env, ct(1))
    assert (await client.get(f"{IMAGE}/rendered?{query}")).status_code == status


async def test_many_at_once(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await holding(kit_env, ct(1), ct(2))
    for address in (f"{STUDY}/rendered", f"{SERIES}/rendered"):
        answer = await client.get(address, headers={"accept": 'multipart/related; type="image/jpeg"'})
        assert answer.content.count(b"Content-Type: image/jpeg") == 2
        single = await client.get(address, headers={"accept": "image/jpeg"})
        assert single.headers["content-type"] == "image/jpeg"


async def test_thumbnails_are_always_pictures(kit_env: Kit, client: httpx.AsyncClient) -> None:
    broken = part10(encapsulated([b"\xff\xd8\xff\xe0no"], SOPInstanceUID="1.2.3.4.1"), JPEGBaseline8Bit)
    for number, content in enumerate((ct(1), broken, document(), film())):
        made = study([pack(kit_env, f"p{number}", [content])], name=f"st{number}")
        await arrive(kit_env, made)
        root = f"/dicomweb/study/st{number}/studies/1.2.3.4"
        for place in ("", "/series/1.2.3.4.5", "/series/1.2.3.4.5/instances/1.2.3.4.1"):
            answer = await client.get(f"{root}{place}/thumbnail?viewport=64,64")
            assert answer.headers["content-type"] == "image/jpeg"
            assert max(Image.open(BytesIO(answer.content)).size) <= 64
    answer = await client.get("/dicomweb/study/st1/studies/1.2.3.4/rendered")
    assert answer.status_code == 406


async def test_thumbnails_are_made_ready(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await holding(kit_env, ct(1), ct(2))
    folder = kit_env.scratch / "pictures" / "st1"
    async with asyncio.timeout(60):
        while not folder.exists() or len(list(folder.glob("[!n]*"))) < 3:
            await asyncio.sleep(0.05)


async def test_pictures_are_not_sent_twice(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await holding(kit_env, ct(1))
    for address in (
        f"{IMAGE}/rendered",
        f"{IMAGE}/thumbnail",
        f"{IMAGE}/frames/1",
        f"{STUDY}/metadata",
        IMAGE,
    ):
        first = await client.get(address)
        assert first.headers["cache-control"] == "private, no-cache"
        again = await client.get(address, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_a_film_is_sent_by_ranges(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await holding(kit_env, film())
    whole = await client.get(f"{IMAGE}/rendered")
    assert (whole.headers["content-type"], whole.content) == ("video/mp4", FILM)
    part = await client.get(f"{IMAGE}/rendered", headers={"range": "bytes=4990-5009"})
    assert (part.status_code, part.content) == (206, FILM[4990:5010])
    assert part.headers["content-range"] == f"bytes 4990-5009/{len(FILM)}"
    last = await client.get(f"{IMAGE}/rendered", headers={"range": "bytes=-7"})
    assert last.content == FILM[-7:]
    beyond = await client.get(f"{IMAGE}/rendered", headers={"range": "bytes=99999-"})
    assert beyond.status_code == 416
    assert (await client.get(f"{IMAGE}/rendered", headers={"accept": "image/jpeg"})).status_code == 406


async def test_a_document_may_stand_in_our_pages(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await holding(kit_env, document())
    answer = await client.get(f"{IMAGE}/rendered")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
    (header,) = (await client.get(f"{IMAGE}/metadata")).json()
    bulk = await client.get(header["00420011"]["BulkDataURI"])
    assert bulk.content == answer.content
    assert "x-frame-options" not in bulk.headers
