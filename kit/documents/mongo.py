"""The documents port on MongoDB, through motor.

A document is `{_id, version, body, pending, pending_at, pending_mark}`. A save is one update on (_id,
version) that also appends the events to `pending`; then they are published in their order and taken out
again, which leaves the version alone. `pending_mark` is the last of them: where it is still the same,
all can go. What a dead process left there is found by `pending_at` (MongoDocuments.relay).
Only plain update operators and no transactions: any server of the common subset will do.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection, AsyncIOMotorDatabase
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern

from kit import acts
from kit.clock import Clock
from kit.documents.conditions import declared, known, member_field, plain, read_cursor, write_cursor
from kit.documents.mongo_words import why
from kit.documents.port import Collection, D, Has, HasPrefix, In, Page, Range, Where, instant_text
from kit.errors import NoSpace, PermanentError, StoreAway, TransientError, Unavailable, VersionConflict
from schemas.envelope import Event
from schemas.wire import carried, encode

Publish = Callable[[Sequence[Event]], Awaitable[None]]

_log = logging.getLogger(__name__)

_RELAYED_AT_ONCE = 200

_LEFT_BEHIND = timedelta(seconds=10)
"""Older pending events belong to a process that died or could not publish."""


@dataclass(frozen=True)
class MongoSettings:
    """`url` may hold credentials and TLS options; what stands there wins over what is set here."""

    url: str = "mongodb://127.0.0.1:27017"
    database: str = "anteroom"
    pool: int = 32
    """Connections of one process at most."""
    timeout_s: float = 10.0
    """How long one operation may take, finding a server included, before the store counts as away."""


class Mongo:
    """The connection of one process. Connects on use, and again after every break."""

    def __init__(self, settings: MongoSettings) -> None:
        milliseconds = int(settings.timeout_s * 1000)
        try:
            self._client: AsyncIOMotorClient[Any] = AsyncIOMotorClient(
                settings.url,
                appname="anteroom",
                maxPoolSize=settings.pool,
                maxConnecting=4,
                waitQueueTimeoutMS=milliseconds,
                serverSelectionTimeoutMS=milliseconds,
                connectTimeoutMS=milliseconds,
                socketTimeoutMS=milliseconds,
                # the driver leaves it away by itself where the server is no replica set
                retryWrites=True,
                uuidRepresentation="standard",
            )
        except (PyMongoError, ValueError):
            # the error may repeat what stands there
            raise PermanentError(
                "mongo.url can't be used: it is mongodb://user:password@host:port/?options, with @ : / % "
                "in user and password written as %40 %3A %2F %25; the name of mongodb+srv:// must be in DNS"
            ) from None
        self.database: AsyncIOMotorDatabase[Any] = self._client.get_database(settings.database)

    async def ping(self) -> None:
        """Raises Unavailable when the store does not answer."""
        async with StoreErrors():
            await self.database.command("ping")

    def close(self) -> None:
        self._client.close()


class MongoDocuments:
    """`publish` sends events to the bus and returns when they are durable there."""

    def __init__(self, database: "AsyncIOMotorDatabase[Any]", publish: Publish, clock: Clock) -> None:
        self._database = database
        self._publish = publish
        self._clock = clock
        self._collections: dict[str, AsyncIOMotorCollection[Any]] = {}

    async def ensure_indexes(self, collections: Sequence[Collection[Any]]) -> None:
        """Create every declared index (idempotent). Called at start and by the migration job."""
        for collection in collections:
            target = self._of(collection)
            wanted = [[f"body.{name}"] for name in collection.fields]
            wanted += [[f"body.{name}" for name in names] for names in collection.compound]
            wanted += [[f"body.{collection.members}"]] if collection.members else []
            async with StoreErrors():
                for names in wanted:
                    await target.create_index([(name, 1) for name in (*names, "_id")])
                await target.create_index([("pending_at", 1)], sparse=True)

    async def get(self, collection: Collection[D], doc_id: str) -> D | None:
        async with StoreErrors():
            found = await self._of(collection).find_one({"_id": doc_id}, {"body": 1, "version": 1})
        return None if found is None else _loaded(collection, found)

    async def save(self, collection: Collection[D], doc: D, emits: Sequence[Event] = ()) -> D:
        target, expected = self._of(collection), doc.version
        body = doc.model_dump(mode="json")
        events = [{"id": event.id, "wire": encode(event).decode()} for event in emits]
        waiting: dict[str, Any] = {}
        if events:
            waiting = {"pending_at": instant_text(self._clock()), "pending_mark": events[-1]["id"]}
        async with StoreErrors():
            if expected == 0:
                fresh = {"_id": doc.id, "version": 1, "body": body, "pending": events, **waiting}
                try:
                    await target.insert_one(fresh)
                except DuplicateKeyError as error:
                    raise VersionConflict(collection.name, doc.id, 0) from error
                pending = events
            else:
                change = {"version": expected + 1, "body": body, **waiting}
                pending = await self._change(target, collection.name, doc.id, expected, change, events)
        acts.emitted(emits)
        doc.version = expected + 1
        if pending:
            try:
                await self._flush(target, doc.id, pending)
            except TransientError as error:
                # the state is saved and its events with it: the relay publishes them later
                _log.warning("events of %s wait for the bus: %s", collection.name, error)
        return doc

    async def insert_many(self, collection: Collection[D], docs: Sequence[D]) -> None:
        rows = [
            {"_id": doc.id, "version": 1, "body": doc.model_dump(mode="json"), "pending": []} for doc in docs
        ]
        if not rows:
            return
        async with StoreErrors():
            try:
                await self._of(collection).insert_many(rows, ordered=False)
            except BulkWriteError as error:
                if any(item.get("code") != 11000 for item in (error.details or {}).get("writeErrors", [])):
                    raise

    async def delete(self, collection: Collection[D], doc: D) -> None:
        target = self._of(collection)
        async with StoreErrors():
            left = await target.find_one({"_id": doc.id}, {"pending": 1})
            if left is None:
                return
            if left.get("pending"):
                await self._flush(target, doc.id, left["pending"])
            done = await target.delete_one({"_id": doc.id, "version": doc.version})
            if done.deleted_count == 0 and await target.find_one({"_id": doc.id}, {"_id": 1}):
                raise VersionConflict(collection.name, doc.id, doc.version)

    async def renew(self, collection: Collection[D], doc_id: str, owner: str, until: datetime) -> bool:
        held = {"_id": doc_id, "body.lease_owner": owner, "body.lease_until": {"$ne": None}}
        async with StoreErrors():
            done = await self._of(collection).update_one(
                held, {"$set": {"body.lease_until": instant_text(until)}}
            )
        return bool(done.matched_count)

    async def find(
        self,
        collection: Collection[D],
        where: Where | None = None,
        *,
        order: str | None = None,
        descending: bool = False,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[D]:
        by = _path(collection, order) if order else "_id"
        query = _query(collection, where or {})
        if cursor is not None:
            query = {"$and": [query, _after(cursor, by, descending)]}
        rows = await self._rows(collection, query, {"body": 1, "version": 1}, by, descending, limit + 1)
        items = [_loaded(collection, row) for row in rows[:limit]]
        if len(rows) <= limit:
            return Page(items)
        value = plain(getattr(items[-1], order)) if order and order != "id" else None
        return Page(items, write_cursor(value, items[-1].id))

    async def project(
        self,
        collection: Collection[D],
        fields: Sequence[str],
        where: Where | None = None,
        *,
        order: str | None = None,
        descending: bool = False,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        by = _path(collection, order) if order else "_id"
        wanted = {f"body.{known(collection, name)}": 1 for name in fields}
        rows = await self._rows(collection, _query(collection, where or {}), wanted, by, descending, limit)
        return [
            {"id": row["_id"], **{name: row.get("body", {}).get(name) for name in fields}} for row in rows
        ]

    async def count(self, collection: Collection[D], where: Where | None = None, *, cap: int = 10_000) -> int:
        async with StoreErrors():
            counted: int = await self._of(collection).count_documents(
                _query(collection, where or {}), limit=cap
            )
        return counted

    async def relay(self, collections: Sequence[Collection[Any]], *, everything: bool = False) -> int:
        """Publish events that were left behind; returns how many documents had some.

        Raises TransientError while the bus or the store is away.
        """
        before = self._clock() if everything else self._clock() - _LEFT_BEHIND
        served = 0
        for collection in collections:
            target = self._of(collection)
            async with StoreErrors():
                rows = target.find({"pending_at": {"$lt": instant_text(before)}}, {"pending": 1})
                found = await rows.sort("pending_at", 1).limit(_RELAYED_AT_ONCE).to_list(_RELAYED_AT_ONCE)
            for row in found:
                try:
                    await self._flush(target, row["_id"], row.get("pending") or [])
                    served += 1
                except (PermanentError, ValueError, KeyError):
                    # one that can't go must not hold up the others; this line repeats
                    _log.exception("an event of %s can't be published", collection.name)
        return served

    async def keep_relaying(self, collections: Sequence[Collection[Any]], every: float = 5.0) -> None:
        """Relay left-over events at start and on a timer, until cancelled."""
        everything = True
        while True:
            try:
                await self.relay(collections, everything=everything)
                everything = False
            except TransientError as error:
                _log.warning("left-over events could not be published: %s", error)
            await asyncio.sleep(every)

    async def _change(
        self,
        target: "AsyncIOMotorCollection[Any]",
        name: str,
        doc_id: str,
        expected: int,
        change: dict[str, Any],
        events: list[dict[str, Any]],
    ) -> list[dict[str, Any]]:
        """One update that holds to the version; returns the events to publish now, oldest first.

        Usually none are left from an earlier save, and then the new ones are all there are.
        """
        if events:
            alone = {"_id": doc_id, "version": expected, "pending": []}
            if (await target.update_one(alone, {"$set": {**change, "pending": events}})).matched_count:
                return events
        update: dict[str, Any] = {"$set": change}
        if events:
            update["$push"] = {"pending": {"$each": events}}
        done = await target.update_one({"_id": doc_id, "version": expected}, update)
        if not done.matched_count:
            raise VersionConflict(name, doc_id, expected)
        if not events:
            return []
        after = await target.find_one({"_id": doc_id}, {"pending": 1})
        return list((after or {}).get("pending") or [])

    async def _flush(
        self, target: "AsyncIOMotorCollection[Any]", doc_id: str, pending: Sequence[dict[str, Any]]
    ) -> None:
        if pending:
            # some may be those of a newer version that runs beside this one
            await self._publish([carried(item["wire"]) for item in pending])
        async with StoreErrors():
            if pending:
                done = await target.update_one(
                    {"_id": doc_id, "pending_mark": pending[-1]["id"]},
                    {"$set": {"pending": []}, "$unset": {"pending_at": "", "pending_mark": ""}},
                )
                if done.matched_count:
                    return
                # further events were appended meanwhile, or another process was faster
                await target.update_one({"_id": doc_id}, {"$pullAll": {"pending": list(pending)}})
            await target.update_one({"_id": doc_id, "pending": []}, {"$unset": {"pending_at": ""}})

    async def _rows(
        self,
        collection: Collection[Any],
        query: dict[str, Any],
        fields: dict[str, int],
        by: str,
        descending: bool,
        limit: int,
    ) -> list[dict[str, Any]]:
        direction = -1 if descending else 1
        order = [("_id", direction)] if by == "_id" else [(by, direction), ("_id", direction)]
        async with StoreErrors():
            found: list[dict[str, Any]] = (
                await self._of(collection).find(query, fields).sort(order).limit(limit).to_list(limit)
            )
        return found

    def _of(self, collection: Collection[Any]) -> "AsyncIOMotorCollection[Any]":
        if collection.name not in self._collections:
            self._collections[collection.name] = self._database.get_collection(
                collection.name,
                read_preference=ReadPreference.PRIMARY,
                read_concern=ReadConcern("majority"),
                write_concern=WriteConcern(w="majority", j=True),
            )
        return self._collections[collection.name]


class StoreErrors:
    """The driver's errors as ours."""

    _TOO_LARGE = frozenset({10334, 17280, 17419, 17420})
    _FULL = 14031

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: Any) -> None:
        code = error.code if isinstance(error, OperationFailure) else None
        if isinstance(error, DocumentTooLarge) or code in self._TOO_LARGE:
            raise PermanentError("a document is too large for the document store") from error
        if code == self._FULL:
            raise NoSpace("The storage is full. Please send it again later.") from error
        if isinstance(error, ConnectionFailure):
            raise StoreAway("document store", why(error)) from error
        if isinstance(error, PyMongoError):
            raise Unavailable("document store", why(error)) from error


def _loaded(collection: Collection[D], found: dict[str, Any]) -> D:
    doc = collection.model.model_validate(found["body"])
    doc.version = found["version"]
    return doc


def _path(collection: Collection[Any], name: str) -> str:
    return "_id" if declared(collection, name) == "id" else f"body.{name}"


def _query(collection: Collection[Any], where: Where) -> dict[str, Any]:
    query: dict[str, Any] = {}
    for name, wanted in where.items():
        if isinstance(wanted, Has):
            query[f"body.{member_field(collection, name)}"] = wanted.value
        elif isinstance(wanted, HasPrefix):
            # an anchored expression is a range of the index (MongoDB manual, $regex, index use)
            path = f"body.{member_field(collection, name)}"
            query["$and"] = [{path: {"$regex": f"^{re.escape(value)}"}} for value in wanted.values]
        elif isinstance(wanted, In):
            query[_path(collection, name)] = {"$in": [plain(value) for value in wanted.values]}
        elif isinstance(wanted, Range):
            ends = {"$gte": wanted.low, "$lt": wanted.high}
            given = {sign: plain(bound) for sign, bound in ends.items() if bound is not None}
            query[_path(collection, name)] = given or {"$ne": None}
        else:
            query[_path(collection, name)] = plain(wanted)
    return query


def _after(cursor: str, by: str, descending: bool) -> dict[str, Any]:
    """The rows behind a cursor. MongoDB, too, sorts null before everything."""
    value, doc_id = read_cursor(cursor)
    sign = "$lt" if descending else "$gt"
    behind = {"_id": {sign: doc_id}}
    if by == "_id":
        return behind
    if value is None:
        same = {by: None, **behind}
        return same if descending else {"$or": [same, {by: {"$ne": None}}]}
    further: list[dict[str, Any]] = [{by: {sign: value}}, {by: value, **behind}]
    return {"$or": [*further, {by: None}] if descending else further}
