"""Moving into a cluster, and its backups, on the real engines."""

import os
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from anteroom.cluster import open_cluster
from anteroom.embedded import NotToBeStarted, open_embedded
from anteroom.moving import marks
from anteroom.moving.manifest import Manifest
from anteroom.moving.migrate import migrate
from anteroom.moving.progress import silent
from anteroom.moving.trouble import MoveError
from anteroom.settings import Settings, load
from kit.bus.partitions import partition_of
from kit.clock import utc_now
from kit.documents.mongo import Mongo, MongoSettings
from kit.documents.sqlite_rows import SqliteRows
from kit.errors import TransientError
from kit.identity import ACCOUNTS
from kit.objects.s3 import S3Objects, S3Settings
from kit.service import Site
from schemas.wire import decode
from tests.component.cli.server import command, killed
from tests.contract.moving import heard
from tests.neighbours.cluster_place import PARTITIONS, Place
from tests.unit.moving.house import GROUP, furnish, notice, opened


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path)
    yield place
    await place.clear()


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    await furnish(tmp_path / "data")
    return tmp_path / "data"


def of(data: Path) -> Settings:
    return load(None, {"process": {"data": data}})


async def move(data: Path, place: Place) -> tuple[Manifest, list[str]]:
    return await migrate(of(data), None, place.settings, utc_now, silent())


async def test_a_moved_installation_is_the_same_and_goes_on(data: Path, place: Place) -> None:
    moved, differences = await move(data, place)
    assert differences == []
    assert (moved.documents["accounts"].count, moved.objects, moved.events.count) == (250, 31, 5)
    with pytest.raises(NotToBeStarted, match="was moved to a cluster"):
        open_embedded(data, Site())
    cluster = open_cluster(place.settings, place.data / "look")
    await cluster.connect()
    account = await cluster.documents.get(ACCOUNTS, "a0001")
    assert (account.version, account.ae_titles) == (2, ["ÖST", "東"])
    account.name = "changed"
    await cluster.documents.save(ACCOUNTS, account)
    assert cluster.objects.read("studies/s1/p001.dcm") == b"\1" * 1001
    assert cluster.kit.site_key.hex() == (data / "site.key").read_text()
    assert len(await cluster.bus.read(limit=100)) == 5
    await cluster.close()


async def test_each_reader_goes_on_with_what_it_had_not_handled(data: Path, place: Place) -> None:
    expected: list[str] = []
    waits = [False] * PARTITIONS
    rows = SqliteRows(data / "anteroom.db", finished=False)
    for entry in (entry for entries in rows.entries() for entry in entries):
        event = decode(entry.body)
        at = partition_of(event.key.encode(), PARTITIONS)
        waits[at] = waits[at] or GROUP in entry.waiting
        if waits[at]:
            expected.append(event.id)
    rows.close()
    assert len(expected) >= 2
    await move(data, place)
    assert sorted(await heard(place, len(expected))) == sorted(expected)


async def test_a_cluster_that_holds_anything_is_left_alone(data: Path, place: Place) -> None:
    objects = S3Objects(S3Settings(**place.settings.s3.model_dump(exclude={"create_bucket"})))
    objects.ensure_bucket()
    objects.put("holiday", [b"x"])
    with pytest.raises(MoveError, match="not empty: something is in bucket"):
        await move(data, place)
    assert marks.why_not(data) is None
    objects.delete("holiday")
    await move(data, place)
    await furnish(data.parent / "other", 3)
    with pytest.raises(MoveError, match="not that of this installation"):
        await move(data.parent / "other", place)
    (place.data / "site.key").unlink()
    with pytest.raises(MoveError, match="holds an installation already"):
        await move(data.parent / "other", place)
    assert (await move(data, place))[0].objects == 31


async def test_a_move_that_is_killed_again_and_again_loses_nothing(tmp_path: Path, place: Place) -> None:
    data = tmp_path / "data"
    await furnish(data, 3000)
    async with opened(data) as embedded:
        for number in range(40):
            embedded.kit.objects.put(f"studies/big/{number:03}", [os.urandom(1 << 20)] * (1 + number % 3))
        await embedded.kit.bus.publish([notice(number) for number in range(100, 3000)])
    moving = command("migrate", "--data", data, "--to", place.config)
    begun = time.monotonic()
    assert killed(moving, 0.9), "the machine is faster than this test supposes"
    kills = 1
    while killed(moving, random.uniform(0.7, 2.0) + kills * 0.35):
        kills += 1
    print(f"{kills} kills in {time.monotonic() - begun:.0f} s")
    assert kills >= 3
    cluster = open_cluster(place.settings, place.data / "look")
    await cluster.connect()
    assert await cluster.documents.count(ACCOUNTS) == 3000
    assert len(list(cluster.objects.list(""))) == 71
    await cluster.close()


async def test_services_wait_until_a_move_is_finished(data: Path, place: Place) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("anteroom.moving.migrate.copy_all", _away)
        with pytest.raises(TransientError):
            await move(data, place)
    with pytest.raises(NotToBeStarted, match="being moved"):
        open_embedded(data, Site())
    cluster = open_cluster(place.settings.model_copy(), place.data / "early")
    with pytest.raises(TransientError, match="is being moved here"):
        await cluster.connect()
    await cluster.close()
    (place.data / "site.key").unlink()
    assert (await move(data, place))[1] == []


async def _away(*_: object) -> None:
    raise TransientError("gone")


async def test_a_target_that_was_emptied_between_gets_everything(data: Path, place: Place) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("anteroom.moving.copying._log", _away)
        with pytest.raises(TransientError):
            await move(data, place)
    await place.clear()
    (place.data / "site.key").unlink()
    moved, differences = await move(data, place)
    assert (moved.documents["accounts"].count, differences) == (250, [])


async def test_what_differs_is_told(data: Path, place: Place) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("anteroom.moving.copying.compare_objects", _away_now)
        with pytest.raises(TransientError):
            await move(data, place)
    settings = place.settings
    objects = S3Objects(S3Settings(**settings.s3.model_dump(exclude={"create_bucket"})))
    objects.put("studies/s1/p001.dcm", [b"\7" * 1001])
    mongo = Mongo(MongoSettings(**settings.mongo.model_dump(exclude={"create_indexes"})))
    await mongo.database["accounts"].update_one({"_id": "a0007"}, {"$set": {"body.name": "forged"}})
    _, differences = await move(data, place)
    assert [line.split(" ")[-3:] for line in differences[:1]] == [["not", "the", "same"]]
    assert any("documents of accounts" in line for line in differences)
    assert any("1 objects were not the same" in line for line in differences)
    await mongo.database["accounts"].update_one({"_id": "a0007"}, {"$set": {"body.name": "Clinic 7"}})
    mongo.close()
    assert (await move(data, place))[1] == []


def _away_now(*_: object) -> None:
    raise TransientError("gone")
