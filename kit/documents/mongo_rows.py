"""Documents of MongoDB as they are stored, for moving and backing up whole installations."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection, AsyncIOMotorDatabase
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern

from kit.clock import Clock
from kit.documents.mongo import StoreErrors
from kit.documents.port import instant_text
from kit.errors import PermanentError
from kit.transfer import Row

_EXISTS = 11000
_ROWS = 100


class MongoRows:
    def __init__(self, database: "AsyncIOMotorDatabase[Any]", clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def names(self) -> list[str]:
        """Collections that hold at least one document. Raises Unavailable."""
        async with StoreErrors():
            known = await self._database.list_collection_names()
            return [
                name
                for name in sorted(known)
                if not name.startswith("system.") and await self._of(name).find_one({}, {"_id": 1})
            ]

    async def scan(self, name: str, after: str = "") -> AsyncIterator[list[Row]]:
        """The documents behind that id, by id, a hundred at a time. Raises Unavailable."""
        fields = {"version": 1, "body": 1, "pending": 1}
        while True:
            where = {"_id": {"$gt": after}}
            async with StoreErrors():
                found = (
                    await self._of(name).find(where, fields).sort([("_id", 1)]).limit(_ROWS).to_list(_ROWS)
                )
            if found:
                yield [_row(item) for item in found]
            if len(found) < _ROWS:
                return
            after = found[-1]["_id"]

    async def insert(self, name: str, rows: Sequence[Row]) -> None:
        """Those whose id exists are left as they are. Raises Unavailable, and PermanentError for a document
        that is too large."""
        now = instant_text(self._clock())
        documents = [_stored(row, now) for row in rows]
        async with StoreErrors():
            try:
                await self._of(name).insert_many(documents, ordered=False)
            except BulkWriteError as error:
                failed = [
                    item for item in (error.details or {}).get("writeErrors", []) if item["code"] != _EXISTS
                ]
                if failed:
                    raise PermanentError(
                        f"{len(failed)} documents of {name} were refused by the document store "
                        f"(error {failed[0]['code']})"
                    ) from error

    def _of(self, name: str) -> "AsyncIOMotorCollection[Any]":
        return self._database.get_collection(
            name,
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern("majority"),
            write_concern=WriteConcern(w="majority", j=True),
        )


def _row(found: dict[str, Any]) -> Row:
    pending = tuple({"id": item["id"], "wire": item["wire"]} for item in found.get("pending") or ())
    return Row(found["_id"], found["version"], found["body"], pending)


def _stored(row: Row, now: str) -> dict[str, Any]:
    waiting = {"pending_at": now, "pending_mark": row.pending[-1]["id"]} if row.pending else {}
    return {
        "_id": row.id,
        "version": row.version,
        "body": row.body,
        "pending": [dict(item) for item in row.pending],
        **waiting,
    }
