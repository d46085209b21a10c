"""What only the documents on MongoDB must do: bring saved events to the bus in the end; keep indexes."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import orjson
import pytest

from anteroom.cluster import collections
from kit.clock import utc_now
from kit.documents.mongo import Mongo, MongoDocuments, MongoSettings
from kit.errors import StoreAway, Unavailable
from schemas.envelope import Event
from schemas.wire import encode
from scripts.engines.__main__ import ROOT
from scripts.engines.run import start, stop
from tests.contract.test_documents import THINGS, Thing, notice
from tests.neighbours.engines import engine


class Bus:
    """Takes events while it is not away."""

    def __init__(self) -> None:
        self.away = False
        self.got: list[str] = []

    async def publish(self, events: Sequence[Event]) -> None:
        if self.away:
            raise Unavailable("bus", "away")
        self.got += [event.notice_id for event in events]


@pytest.fixture
async def mongo() -> AsyncIterator[Mongo]:
    name = f"contract_{secrets.token_hex(6)}"
    opened = Mongo(MongoSettings(url=f"mongodb://{engine('mongo')}", database=name))
    yield opened
    await opened.database.client.drop_database(name)
    opened.close()


async def test_events_of_saves_while_the_bus_is_away_are_relayed_in_order_and_once(mongo: Mongo) -> None:
    bus = Bus()
    documents = MongoDocuments(mongo.database, bus.publish, utc_now)
    await documents.ensure_indexes([THINGS])
    bus.away = True
    doc = await documents.save(THINGS, Thing(id="a"), [notice("1")])
    doc = await documents.save(THINGS, doc, [notice("2"), notice("3")])
    await documents.save(THINGS, Thing(id="b"), [notice("4")])
    with pytest.raises(Unavailable):
        await documents.relay([THINGS], everything=True)
    assert bus.got == []

    bus.away = False
    again = MongoDocuments(mongo.database, bus.publish, utc_now)
    assert await again.relay([THINGS], everything=True) == 2
    assert [n for n in bus.got if n != "4"] == ["1", "2", "3"]
    assert len(bus.got) == 4
    assert await again.relay([THINGS], everything=True) == 0
    assert (await documents.get(THINGS, "a")).version == 2


async def test_a_later_save_brings_older_events_along_before_its_own(mongo: Mongo) -> None:
    bus = Bus()
    documents = MongoDocuments(mongo.database, bus.publish, utc_now)
    bus.away = True
    doc = await documents.save(THINGS, Thing(id="a"), [notice("1")])
    bus.away = False
    await documents.save(THINGS, doc, [notice("2")])
    assert bus.got == ["1", "2"]
    assert await documents.relay([THINGS], everything=True) == 0


async def test_events_that_a_newer_version_left_are_published_as_they_are(mongo: Mongo) -> None:
    published: list[bytes] = []

    async def publish(events: Sequence[Event]) -> None:
        published.extend(encode(event) for event in events)

    documents = MongoDocuments(mongo.database, publish, utc_now)
    await documents.save(THINGS, Thing(id="a"))
    newer = {"id": "e1", "correlation_id": "c", "cause": None, "key": "k", "time": "2030-01-01T00:00:00Z"}
    unknown = {**newer, "topic": "study-dreamt", "version": 7, "nested": {"known": False}}
    grown = {**orjson.loads(encode(notice("1"))), "since": "later"}
    pending = [{"id": e["id"], "wire": orjson.dumps(e).decode()} for e in (unknown, grown)]
    left = {"pending": pending, "pending_mark": pending[-1]["id"], "pending_at": "2020"}
    await mongo.database[THINGS.name].update_one({"_id": "a"}, {"$set": left})
    doc = await documents.get(THINGS, "a")
    assert doc is not None
    own = notice("2")
    await documents.save(THINGS, doc, [own])
    assert [orjson.loads(event) for event in published] == [unknown, grown, orjson.loads(encode(own))]


async def test_a_deleted_documents_events_go_first(mongo: Mongo) -> None:
    bus = Bus()
    documents = MongoDocuments(mongo.database, bus.publish, utc_now)
    bus.away = True
    doc = await documents.save(THINGS, Thing(id="a"), [notice("1")])
    with pytest.raises(Unavailable):
        await documents.delete(THINGS, doc)
    bus.away = False
    await documents.delete(THINGS, doc)
    assert bus.got == ["1"]
    assert await documents.get(THINGS, "a") is None


async def test_every_declared_index_of_every_service_is_made(mongo: Mongo) -> None:
    documents = MongoDocuments(mongo.database, Bus().publish, utc_now)
    await documents.ensure_indexes(collections())
    await documents.ensure_indexes(collections())
    for collection in collections():
        found = await mongo.database[collection.name].index_information()
        keys = {tuple(name for name, _ in index["key"]) for index in found.values()}
        wanted = [(f"body.{name}", "_id") for name in collection.fields]
        wanted += [(*(f"body.{name}" for name in names), "_id") for names in collection.compound]
        assert keys >= {*wanted, ("pending_at",)}


async def test_a_restart_of_the_store_keeps_what_was_saved(tmp_path: Path) -> None:
    engine("mongo")
    folder = tmp_path / "mongo"
    folder.mkdir()
    for part in ("lib", "classes"):
        (folder / part).symlink_to(ROOT / "mongo" / part)
    port = await asyncio.to_thread(start, tmp_path, "mongo")
    opened = Mongo(MongoSettings(url=f"mongodb://127.0.0.1:{port}", timeout_s=2))
    documents = MongoDocuments(opened.database, Bus().publish, utc_now)
    try:
        doc = await documents.save(THINGS, Thing(id="a", size=1), [notice("1")])
        await asyncio.to_thread(stop, tmp_path, "mongo")
        with pytest.raises(StoreAway):
            await documents.save(THINGS, doc)
        await asyncio.to_thread(start, tmp_path, "mongo")
        kept = await documents.get(THINGS, "a")
        assert (kept.version, kept.size) == (1, 1)
        kept.size = 2
        assert (await documents.save(THINGS, kept)).version == 2
    finally:
        opened.close()
        await asyncio.to_thread(stop, tmp_path, "mongo")


async def test_a_store_that_is_away_says_so_in_time() -> None:
    mongo = Mongo(MongoSettings(url="mongodb://127.0.0.1:1", timeout_s=0.3))
    with pytest.raises(StoreAway):
        await mongo.ping()
    mongo.close()
