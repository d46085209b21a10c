"""Nobody sees what is not theirs, by whatever address."""

import zipfile
from datetime import timedelta
from io import BytesIO

import httpx
import pytest

from kit.access import ADDRESSED, Addressed, submission_key
from kit.identity import Role, token_id
from kit.service import Kit
from kit.sessions import COOKIE, GRANTS, SESSIONS, Grant, Session
from schemas.shapes import Person
from services.view.viewed import VIEWS
from tests.component.view.samples import NOW, SERIES, STUDY, arrive, ct, login, pack, show, study
from tests.conftest import settle

IMAGE = f"{SERIES}/instances/1.2.3.4.1"
BELOW_A_STUDY = (
    STUDY,
    f"{STUDY}/metadata",
    f"{STUDY}/series",
    f"{STUDY}/instances",
    f"{STUDY}/rendered",
    f"{STUDY}/thumbnail",
    SERIES,
    f"{SERIES}/instances",
    f"{SERIES}/metadata",
    f"{SERIES}/rendered",
    f"{SERIES}/thumbnail",
    IMAGE,
    f"{IMAGE}/metadata",
    f"{IMAGE}/rendered",
    f"{IMAGE}/thumbnail",
    f"{IMAGE}/frames/1",
    f"{IMAGE}/frames/1/rendered",
    f"{IMAGE}/frames/1/thumbnail",
    f"{IMAGE}/bulkdata/0",
)
ROOTS = ("", "/study/st1", "/submission/sub1", "/share/x")


def at(root: str, address: str) -> str:
    return address.replace("/dicomweb", f"/dicomweb{root}", 1)


async def by_link(kit: Kit, secret: str, *studies: str, download: bool = False) -> dict[str, str]:
    """Somebody who came by a share link for these studies."""
    grant = Grant(
        id=token_id(f"grant {secret}"),
        kind="share",
        label="Dr. Guest",
        made_by="a",
        created_at=NOW,
        expires_at=kit.clock() + timedelta(days=1),
        studies=list(studies),
        download=download,
    )
    await kit.documents.save(GRANTS, grant)
    now = kit.clock()
    session = Session(
        id=token_id(secret),
        kind="share",
        grant_id=grant.id,
        created_at=now,
        seen_at=now,
        expires_at=now + timedelta(hours=1),
    )
    await kit.documents.save(SESSIONS, session)
    return {"cookie": f"{COOKIE}={secret}", "authorization": ""}


async def two_senders(kit: Kit) -> None:
    """The same Study Instance UID from two origins."""
    await arrive(kit, study([pack(kit, "p1", [ct(1)])]))
    await arrive(kit, study([pack(kit, "p2", [ct(1, PatientID="OTHER"), ct(2)])], name="st2", origin="other"))
    await show(kit, "st1", "account:clinic", submission_key("sub1"))
    await show(kit, "st2", "account:other", submission_key("sub2"))


@pytest.mark.parametrize("root", ROOTS)
async def test_no_route_leaks_to_a_stranger(kit_env: Kit, client: httpx.AsyncClient, root: str) -> None:
    await two_senders(kit_env)
    stranger = await login(kit_env, "stranger", Role.SEND)
    physician = await login(kit_env, "physician", Role.VIEW)
    unknown = (await client.get(at(root, f"{STUDY}9/metadata"), headers=stranger)).json()
    for headers in (stranger, physician):
        for address in BELOW_A_STUDY:
            answer = await client.get(at(root, address), headers=headers)
            assert (answer.status_code, answer.json()) == (404, unknown), address
        for level in ("studies", "series", "instances"):
            answer = await client.get(f"/dicomweb{root}/{level}", headers=headers)
            assert answer.json() == ([] if not root else unknown)
    for address in BELOW_A_STUDY:
        assert (await client.get(at(root, address), headers={"authorization": ""})).status_code == 401


async def test_a_sender_sees_their_own(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await two_senders(kit_env)
    clinic = await login(kit_env, "clinic", Role.SEND)
    for root in ("", "/study/st1", "/submission/sub1"):
        (row,) = (await client.get(f"/dicomweb{root}/studies", headers=clinic)).json()
        assert row["00081190"]["Value"][0].endswith("/studies/1.2.3.4")
        assert len((await client.get(at(root, f"{STUDY}/instances"), headers=clinic)).json()) == 1
        (header,) = (await client.get(at(root, f"{STUDY}/metadata"), headers=clinic)).json()
        assert header["00100020"]["Value"] != ["OTHER"]
    for root in ("/study/st2", "/submission/sub2"):
        assert (await client.get(at(root, f"{STUDY}/metadata"), headers=clinic)).status_code == 404


async def test_the_same_uid_from_two_origins_is_never_mixed(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await two_senders(kit_env)
    rows = (await client.get("/dicomweb/studies")).json()
    addresses = {row["00081190"]["Value"][0] for row in rows}
    assert addresses == {f"http://here/dicomweb/study/{name}/studies/1.2.3.4" for name in ("st1", "st2")}
    for address, count in zip(sorted(addresses), (1, 2), strict=True):
        assert len((await client.get(f"{address}/metadata")).json()) == count
    assert len((await client.get(f"{STUDY}/series")).json()) == 2
    for address in (STUDY, f"{STUDY}/metadata", f"{IMAGE}/frames/1", f"{IMAGE}/thumbnail"):
        answer = await client.get(address)
        assert (answer.status_code, answer.json()["code"]) == (409, "several-origins")


async def test_a_share_link_shows_its_studies_alone(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await two_senders(kit_env)
    guest = await by_link(kit_env, "secret-of-a-guest-001", "st2")
    (row,) = (await client.get("/dicomweb/studies", headers=guest)).json()
    assert row["00201208"]["Value"] == [2]
    grant = token_id("grant secret-of-a-guest-001")
    for root in ("", "/study/st2", f"/share/{grant}", f"/share/{grant[:24]}"):
        assert len((await client.get(at(root, f"{STUDY}/metadata"), headers=guest)).json()) == 2
        assert (await client.get(at(root, f"{IMAGE}/frames/1"), headers=guest)).status_code == 200
        assert (await client.get(at(root, IMAGE), headers=guest)).status_code == 403
        assert (await client.get(at(root, STUDY), headers=guest)).status_code == 403
    assert (await client.get(at("/study/st1", f"{STUDY}/metadata"), headers=guest)).status_code == 404
    stranger = await login(kit_env, "stranger", Role.VIEW_ALL)
    shared = await client.get(at(f"/share/{grant}", f"{STUDY}/metadata"), headers=stranger)
    assert shared.status_code == 404
    taker = await by_link(kit_env, "secret-of-a-guest-002", "st2", download=True)
    assert (await client.get(at("/study/st2", STUDY), headers=taker)).status_code == 200


async def test_views_are_recorded_once_a_session(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await two_senders(kit_env)
    root = at("/study/st1", STUDY)
    await client.get(f"{root}/series")
    await client.get(f"{root}/thumbnail")
    assert (await kit_env.documents.find(VIEWS)).items == []
    for _ in range(2):
        await client.get(f"{root}/metadata")
        await client.get(at("/study/st1", f"{IMAGE}/frames/1"))
    (view,) = (await kit_env.documents.find(VIEWS)).items
    assert (view.study_id, view.account_id, view.kind) == ("st1", "viewer", "account")
    guest = await by_link(kit_env, "secret-of-a-guest-001", "st1")
    await client.get(f"{root}/metadata", headers=guest)
    assert len((await kit_env.documents.find(VIEWS)).items) == 2
    await settle(kit_env)
    events = [event for _, event in await kit_env.bus.read(topics=["study-viewed"])]
    assert [event.key for event in events] == ["st1", "st1"]


@pytest.mark.parametrize(
    ("address", "looked"),
    [
        (f"{IMAGE}/thumbnail?viewport=256,256", 0),
        (f"{IMAGE}/frames/1/thumbnail", 1),
        (f"{STUDY}/instances?InstanceNumber=1", 0),
        (f"{STUDY}/instances?includefield=all", 1),
        (f"{STUDY}/instances?includefield=PatientComments", 1),
        (f"{STUDY}/series?includefield=all", 1),
    ],
)
async def test_what_shows_more_than_an_overview_is_recorded(
    kit_env: Kit, client: httpx.AsyncClient, address: str, looked: int
) -> None:
    await two_senders(kit_env)
    assert (await client.get(at("/study/st1", address))).status_code == 200
    assert len((await kit_env.documents.find(VIEWS)).items) == looked


async def test_a_thumbnail_is_small(kit_env: Kit, client: httpx.AsyncClient) -> None:
    await two_senders(kit_env)
    for sides in ("257,20", "20,8192"):
        answer = await client.get(at("/study/st1", f"{IMAGE}/thumbnail?viewport={sides}"))
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-viewport")


async def test_documents_go_along_to_those_they_were_addressed_to(
    kit_env: Kit, client: httpx.AsyncClient
) -> None:
    one = pack(kit_env, "p1", [ct(1)])
    kit_env.objects.put(f"documents/{one.submission_id}/letter", [b"%PDF-1.7 about somebody else, too"])
    await arrive(kit_env, study([one]))
    await show(kit_env, "st1", "account:clinic", "account:addressed", "account:colleague")
    addressed = Addressed(
        id=one.submission_id, sender_id="clinic", recipients=[Person(name="A", account_id="addressed")]
    )
    await kit_env.documents.save(ADDRESSED, addressed)
    guest = await by_link(kit_env, "secret-of-a-guest-003", "st1", download=True)
    for headers, documents in (
        (await login(kit_env, "colleague", Role.VIEW), 0),
        (guest, 0),
        (await login(kit_env, "addressed", Role.VIEW), 1),
        (await login(kit_env, "clinic", Role.SEND, "clinic"), 1),
        (await login(kit_env, "clerk", Role.VIEW_ALL), 1),
    ):
        answer = await client.get("/dicomweb/study/st1/archive", headers=headers)
        names = zipfile.ZipFile(BytesIO(answer.content)).namelist()
        assert len([name for name in names if name.startswith("DOCUMENT/")]) == documents
        assert "DICOMDIR" in names
