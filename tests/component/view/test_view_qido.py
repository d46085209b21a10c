"""Searches on every level."""

import httpx

from kit.service import Kit
from tests.component.view.samples import SERIES, STUDY, arrive, ct, pack, study


async def two_images(kit: Kit) -> None:
    await arrive(kit, study([pack(kit, "p1", [ct(1, KVP="120"), ct(2, KVP="80")])]))


async def found(client: httpx.AsyncClient, address: str, **query: object) -> list[str]:
    rows = (await client.get(address, params={k: str(v) for k, v in query.items()})).json()
    return [row.get("00080018", row["0020000D"])["Value"][0] for row in rows]


async def test_attributes_of_the_header_are_conditions_and_results(
    kit_env: Kit, client: httpx.AsyncClient
) -> None:
    await two_images(kit_env)
    for address in (f"{SERIES}/instances", f"{STUDY}/instances", "/dicomweb/instances"):
        assert await found(client, address, KVP="80") == ["1.2.3.4.2"]
        assert await found(client, address, PatientID="F-17", Modality="CT", InstanceNumber=1) == [
            "1.2.3.4.1"
        ]
        assert await found(client, address, PatientID="another") == []
    (row,) = (await client.get(f"{STUDY}/instances?limit=1&includefield=00180060%2CPatientName")).json()
    assert row["00180060"]["Value"] == [120]
    assert row["00100010"]["Value"] == [{"Alphabetic": "Müller^Jürgen"}]
    (everything, _) = (await client.get(f"{STUDY}/instances?includefield=all")).json()
    assert {"00180050", "00180060", "00100010", "00080060"} <= set(everything)
    assert not any("BulkDataURI" in value for value in everything.values())
    (series,) = (await client.get(f"{STUDY}/series?includefield=00180050&SliceThickness=1.5")).json()
    assert series["00180050"]["Value"] == [1.5]
    assert (await client.get("/dicomweb/series?Modality=MR")).json() == []


async def test_pages_say_when_there_is_more(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await two_images(kit_env)
    first = await client.get(f"{STUDY}/instances?limit=1")
    assert first.headers["warning"].startswith("299 ")
    last = await client.get(f"{STUDY}/instances?limit=1&offset=1")
    assert "warning" not in last.headers
    assert (await client.get(f"{STUDY}/instances?offset=2")).json() == []
    html = await client.get("/dicomweb/studies", headers={"accept": "text/html"})
    assert html.status_code == 406


async def test_names_and_dates(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await two_images(kit_env)
    for query, count in (
        ({"PatientName": "jurgen mul", "fuzzymatching": "true"}, 1),
        ({"PatientName": "*jürgen"}, 1),
        ({"PatientName": "mul*"}, 0),
        ({"StudyDate": "20250101-20250131"}, 1),
        ({"StudyDate": "20250102"}, 1),
        ({"StudyDate": "20250103-"}, 0),
        ({"ModalitiesInStudy": "MR,CT"}, 1),
        ({"StudyInstanceUID": "1.2.3.4,9.9"}, 1),
        ({"StudyInstanceUID": "9.8,9.9"}, 0),
    ):
        assert len(await found(client, "/dicomweb/studies", **query)) == count, query


async def test_a_study_without_modality_has_no_empty_list(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await arrive(kit_env, study([pack(kit_env, "p1", [ct(1)])]).model_copy(update={"modalities": ("",)}))
    (row,) = (await client.get("/dicomweb/studies")).json()
    assert "00080061" not in row
