"""Backups of a cluster, also of one that works meanwhile, on the real engines."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path

import pytest

from anteroom.cluster import Cluster, open_cluster
from anteroom.moving import backups, cluster_backup, cluster_restore
from anteroom.moving.embedded_backup import Done
from anteroom.moving.fingerprint import read_key
from anteroom.moving.migrate import migrate
from anteroom.moving.progress import silent
from anteroom.moving.trouble import MoveError
from anteroom.moving.vault import Vault
from anteroom.settings import load
from kit.clock import utc_now
from kit.documents.mongo_rows import MongoRows
from kit.identity import ACCOUNTS, Account
from kit.transfer import Row
from schemas.notify import NoticeSent
from schemas.wire import encode
from services.portal.models import SAVED_VIEWS, SavedViews
from tests.contract.moving import heard
from tests.neighbours.cluster_place import Place
from tests.unit.moving.house import GROUP, furnish, notice, ticking


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A cluster with what house.furnish makes."""
    place = Place(tmp_path)
    await furnish(tmp_path / "data")
    await migrate(
        load(None, {"process": {"data": tmp_path / "data"}}), None, place.settings, utc_now, silent()
    )
    yield place
    await place.clear()


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path)
    yield place
    await place.clear()


async def save(
    place: Place, target: Path, clock: Callable[[], datetime] = utc_now, with_key: bool = True
) -> Done:
    key = read_key(place.data / "site.key")
    return await cluster_backup.back_up(
        place.settings, Vault(target), key, with_key=with_key, keep=2, clock=clock, progress=silent()
    )


async def bring(source: Path, place: Place) -> list[str]:
    with backups.opened(source, None, silent()) as backup:
        return await cluster_restore.restore(backup, place.settings, None, utc_now, silent())


async def test_a_cluster_comes_back_as_it_was(place: Place, other: Place, tmp_path: Path) -> None:
    done = await save(place, tmp_path / "backups")
    assert done.manifest.quiet
    assert (done.manifest.documents["accounts"].count, done.manifest.objects) == (250, 31)
    assert await bring(tmp_path / "backups", other) == []
    cluster = open_cluster(other.settings, other.data / "look")
    await cluster.connect()
    account = await cluster.documents.get(ACCOUNTS, "a0001")
    assert (account.version, account.ae_titles) == (2, ["ÖST", "東"])
    assert cluster.objects.read("studies/s1/p001.dcm") == b"\1" * 1001
    await cluster.close()
    assert (other.data / "site.key").read_text() == (place.data / "site.key").read_text()
    waiting = set(await heard(place, 2))
    assert set(await heard(other, 2)) == waiting
    with pytest.raises(MoveError, match="was restored into this cluster before"):
        await bring(tmp_path / "backups", other)


async def test_events_that_kafka_did_not_have_yet_are_published_after_the_restore(
    place: Place, other: Place, tmp_path: Path
) -> None:
    event, late = notice(77), "late"
    cluster = open_cluster(place.settings, place.data / "write")
    pending = {"id": event.id, "wire": encode(event).decode()}
    await MongoRows(cluster.mongo.database, utc_now).insert(
        SAVED_VIEWS.name, [Row(late, 3, SavedViews(id=late).model_dump(mode="json"), (pending,))]
    )
    await cluster.close()
    await save(place, tmp_path / "backups")
    assert await bring(tmp_path / "backups", other) == []
    cluster = open_cluster(other.settings, other.data / "look")
    assert await cluster.documents.relay([SAVED_VIEWS], everything=True) == 1
    assert (await cluster.documents.get(SAVED_VIEWS, late)).version == 3
    await cluster.close()
    assert event.id in await heard(other, 3)


async def test_a_further_backup_copies_new_objects_and_drops_old_ones(
    place: Place, other: Place, tmp_path: Path
) -> None:
    clock = ticking()
    assert (await save(place, tmp_path / "backups", clock)).copied == 31
    cluster = open_cluster(place.settings, place.data / "write")
    cluster.objects.put("studies/new", [b"new"])
    cluster.objects.delete("studies/s0/p000.dcm")
    await cluster.close()
    second = await save(place, tmp_path / "backups", clock)
    assert (second.copied, second.manifest.objects) == (1, 31)
    third = await save(place, tmp_path / "backups", clock)
    assert (third.copied, third.removed) == (0, 1)
    assert not (tmp_path / "backups/objects/studies/s0/p000.dcm").exists()
    assert await bring(tmp_path / "backups", other) == []


async def test_without_the_key_it_asks_for_it(place: Place, other: Place, tmp_path: Path) -> None:
    await save(place, tmp_path / "backups", with_key=False)
    assert not list((tmp_path / "backups").rglob("site.key"))
    with pytest.raises(MoveError, match="--key-file"):
        await bring(tmp_path / "backups", other)


async def test_no_event_is_lost_when_it_is_saved_while_everybody_works(
    place: Place, other: Place, tmp_path: Path
) -> None:
    cluster = open_cluster(place.settings, place.data / "work")
    await _serve(cluster)
    stop = asyncio.Event()

    async def work() -> None:
        number = 1000
        while not stop.is_set():
            number += 1
            account = Account(id=f"w{number}", name=notice(number).id)
            await cluster.documents.save(ACCOUNTS, account, [notice(number)])
            await asyncio.to_thread(cluster.objects.put, f"incoming/s/{number}/0", [b"x"])
            await asyncio.to_thread(cluster.objects.delete, f"incoming/s/{number - 3}/0")

    working = asyncio.create_task(work())
    async with asyncio.timeout(60):
        while await cluster.documents.get(ACCOUNTS, "w1010") is None:
            await asyncio.sleep(0.05)
    done = await save(place, tmp_path / "backups")
    stop.set()
    await working
    await cluster.close()
    assert not done.manifest.quiet
    assert await bring(tmp_path / "backups", other) == []
    cluster = open_cluster(other.settings, other.data / "work")
    await _serve(cluster)
    await cluster.documents.relay([ACCOUNTS], everything=True)
    async with asyncio.timeout(60):
        while any((await cluster.bus.lag()).values()):
            await asyncio.sleep(0.2)
    names = [account["name"] for account in await cluster.documents.project(ACCOUNTS, ["name"], limit=10_000)]
    emitted = [name for name in names if "-" in name]
    assert len(emitted) >= 10
    for event_id in emitted:
        assert await cluster.documents.get(SAVED_VIEWS, event_id) is not None
    await cluster.close()


async def _serve(cluster: Cluster) -> None:
    async def handle(event: NoticeSent) -> None:
        if await cluster.documents.get(SAVED_VIEWS, event.id) is None:
            await cluster.documents.save(SAVED_VIEWS, SavedViews(id=event.id))

    cluster.bus.subscribe(NoticeSent, GROUP, handle)
    await cluster.connect()
    await cluster.bus.start()
