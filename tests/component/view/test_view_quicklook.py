"""What a study's page asks for to show its first image."""

import asyncio
from io import BytesIO

import httpx
from PIL import Image
from pydicom.uid import JPEGBaseline8Bit

from kit.identity import Role
from kit.service import Kit
from tests.component.view.samples import arrive, ct, login, pack, study
from tests.unit.dicom.samples import encapsulated, part10

SERIES_UID = "1.2.3.4.5"
QUICK = f"/dicomweb/study/st1/quicklook/{SERIES_UID}"


def compressed() -> bytes:
    jpeg = BytesIO()
    Image.new("L", (16, 16), 99).save(jpeg, "JPEG")
    made = encapsulated([jpeg.getvalue()], SOPInstanceUID="1.2.3.4.1", Rows=16, Columns=16)
    return part10(made, JPEGBaseline8Bit)


async def test_the_list_and_the_image_in_its_middle(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await arrive(kit_env, study([pack(kit_env, "p1", [ct(number) for number in (3, 1, 5, 2, 4)])]))
    images = (await client.get(QUICK)).json()["images"]
    assert [image["number"] for image in images] == [1, 2, 3, 4, 5]
    middle = await client.get(f"{QUICK}/middle")
    assert middle.status_code == 200, middle.text
    place = middle.headers["content-location"]
    assert place.endswith(f"/instances/{images[2]['uid']}/frames/1")
    frame = await client.get(place, headers={"accept": "application/octet-stream"})
    assert middle.content == frame.content
    again = await client.get(f"{QUICK}/middle", headers={"if-none-match": middle.headers["etag"]})
    assert again.status_code == 304


async def test_the_middle_moves_when_more_of_the_series_comes(
    kit_env: Kit, client: httpx.AsyncClient
) -> None:
    first = pack(kit_env, "p1", [ct(1)])
    await arrive(kit_env, study([first]))
    assert (await client.get(f"{QUICK}/middle")).headers["content-location"].endswith("1/frames/1")
    await arrive(kit_env, study([first, pack(kit_env, "p2", [ct(2), ct(3)])], revision=2))
    images = (await client.get(QUICK)).json()["images"]
    middle = await client.get(f"{QUICK}/middle")
    assert f"/{images[1]['uid']}/" in middle.headers["content-location"]


async def test_what_the_page_can_not_draw_comes_as_a_picture(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await arrive(kit_env, study([pack(kit_env, "p1", [compressed()])]))
    assert not (await client.get(QUICK)).json()["images"][0]["raw"]
    middle = await client.get(f"{QUICK}/middle")
    assert middle.headers["content-location"].endswith("/frames/1/rendered?quality=90")
    assert (middle.headers["content-type"], middle.content[:2]) == ("image/jpeg", b"\xff\xd8")
    kept = await client.get(middle.headers["content-location"], headers={"accept": "image/jpeg"})
    assert kept.content == middle.content


async def test_the_first_look_at_compressed_pixels_is_made_ready(
    kit_env: Kit, client: httpx.AsyncClient
) -> None:
    await arrive(kit_env, study([pack(kit_env, "p1", [compressed()])]))
    folder = kit_env.scratch / "pictures" / "st1"
    async with asyncio.timeout(60):
        while not folder.exists() or len(list(folder.glob("[!n]*"))) < 4:
            await asyncio.sleep(0.05)


async def test_others_and_other_series_see_nothing(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await arrive(kit_env, study([pack(kit_env, "p1", [ct(1)])]))
    stranger = await login(kit_env, "stranger", Role.SEND, "elsewhere")
    for path in (QUICK, f"{QUICK}/middle"):
        assert (await client.get(path, headers=stranger)).status_code == 404
        assert (await client.get(path.replace(SERIES_UID, "1.9"))).status_code == 404
