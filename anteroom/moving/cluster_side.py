"""A cluster's engines, as something to copy from or into, while none of its services changes them."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal

from anteroom.cluster import INSTALLATION, Installation
from anteroom.collections import collections
from anteroom.moving.ports import Item
from anteroom.moving.streams import Streamed
from anteroom.moving.trouble import MoveError
from anteroom.settings import Settings
from kit.bus.kafka_entries import Groups, KafkaEntries
from kit.bus.kafka_settings import KafkaSettings
from kit.bus.letters import Letter
from kit.clock import Clock
from kit.documents.mongo import Mongo, MongoDocuments, MongoSettings
from kit.documents.mongo_rows import MongoRows
from kit.errors import VersionConflict
from kit.objects.s3 import S3Objects, S3Settings
from kit.transfer import Entry, Row
from schemas.envelope import Event

_SITE = "site"
Taken = Literal["new", "begun", "ended"]
"""How far the move into the cluster was when it was asked for."""


class ClusterSide:
    one_by_one = False

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._mongo = Mongo(MongoSettings(**settings.mongo.model_dump(exclude={"create_indexes"})))
        self._documents = MongoDocuments(self._mongo.database, _unpublished, clock)
        self._rows = MongoRows(self._mongo.database, clock)
        self._log = KafkaEntries(KafkaSettings(**settings.kafka.model_dump()), clock)
        self._groups: Groups | None = None
        self.objects = S3Objects(S3Settings(**settings.s3.model_dump(exclude={"create_bucket"})))

    async def close(self) -> None:
        await self._log.close()
        self._mongo.close()

    async def reach(self) -> None:
        """Every engine answers, and has its bucket and topics. Raises TransientError."""
        await self._mongo.ping()
        make = self.objects.ensure_bucket if self._settings.s3.create_bucket else self.objects.ping
        await asyncio.to_thread(make)
        await self._log.prepare()

    async def take(self, moving: str, fingerprint: str) -> Taken:
        """Make this cluster the target of one move, and keep services from starting on it. Raises MoveError
        when it holds anything else."""
        known = await self._documents.get(INSTALLATION, _SITE)
        fresh = known is None
        if known is None:
            await self._refuse_anything()
            await self._documents.ensure_indexes([*collections(), INSTALLATION])
            known = Installation(id=_SITE, key_fingerprint=fingerprint, moving=moving)
            try:
                await self._documents.save(INSTALLATION, known)
            except VersionConflict as error:
                raise MoveError(
                    "Somebody else has just begun to use this cluster. Stop that first."
                ) from error
        if known.moving == moving:
            return "new" if fresh else "begun"
        if known.moved == moving:
            return "ended"
        if known.moving:
            raise MoveError(
                "Another move into this cluster was begun and not finished. Finish that one, or empty "
                f"{self._name()}."
            )
        raise MoveError(f"This cluster holds an installation already. Empty {self._name()}, or name others.")

    async def moved(self) -> str:
        """The move that brought what is here; empty where none did."""
        known = await self._documents.get(INSTALLATION, _SITE)
        return "" if known is None else known.moved

    async def release(self, moving: str) -> None:
        """The move is finished: services may start."""
        known = await self._documents.get(INSTALLATION, _SITE)
        if known is not None and known.moving == moving:
            known.moving, known.moved = "", moving
            await self._documents.save(INSTALLATION, known)

    async def fingerprint(self) -> str | None:
        """Of the site key the cluster was made with; None when it holds no installation. Raises MoveError
        while something is being moved into it."""
        await self._mongo.ping()
        known = await self._documents.get(INSTALLATION, _SITE)
        if known is not None and known.moving:
            raise MoveError("An installation is being moved into this cluster. Finish that first.")
        return None if known is None else known.key_fingerprint

    async def names(self) -> list[str]:
        return [name for name in await self._rows.names() if name != INSTALLATION.name]

    async def rows(self, name: str, after: str) -> AsyncIterator[list[Row]]:
        async for found in self._rows.scan(name, after):
            yield found

    async def insert(self, name: str, rows: Sequence[Row]) -> None:
        await self._rows.insert(name, rows)

    async def note_positions(self) -> None:
        """From now on `groups` and `entries` tell what readers had handled at this moment."""
        self._groups = await self._log.groups()

    async def groups(self) -> dict[str, list[str]]:
        return (await self._known_groups()).topics

    async def entries(self) -> AsyncIterator[list[Entry]]:
        async for found in self._log.entries(await self._known_groups()):
            yield found

    async def written(self) -> AsyncIterator[list[Entry]]:
        async for found in self._log.written():
            yield found

    async def append(self, entries: AsyncIterator[list[Entry]]) -> None:
        async with self._log.appending() as log:
            async for found in entries:
                await log.append(found)

    async def set_positions(
        self, groups: Mapping[str, Sequence[str]], waiting: Mapping[str, set[int]]
    ) -> None:
        await self._log.set_positions(groups, waiting)

    async def letters(self) -> list[dict[str, Any]]:
        return [letter.model_dump(mode="json") for letter in await self._log.letters()]

    async def bury(self, letters: Sequence[dict[str, Any]]) -> None:
        if letters:
            async with self._log.appending() as log:
                for letter in letters:
                    await log.bury(Letter.model_validate(letter))

    def items(self) -> Iterator[Item]:
        for stat in sorted(self.objects.list(""), key=lambda stat: stat.key):
            yield Item(stat.key, stat.size, partial(Streamed.opened, self.objects.stream, stat.key))

    async def ends(self) -> dict[str, int]:
        """How much was ever published and handled: the same twice says that nothing happened."""
        return await self._log.ends()

    async def _known_groups(self) -> Groups:
        if self._groups is None:
            await self.note_positions()
        assert self._groups is not None
        return self._groups

    async def _refuse_anything(self) -> None:
        found = []
        if await self._rows.names():
            found.append(f"database {self._settings.mongo.database}")
        if await asyncio.to_thread(lambda: next(self.objects.list(""), None)) is not None:
            found.append(f"bucket {self._settings.s3.bucket}")
        if not await self._log.empty():
            found.append(f"the topics of Kafka ({self._settings.kafka.prefix or 'no'} prefix)")
        if found:
            raise MoveError(
                f"The cluster is not empty: something is in {', '.join(found)}. Nothing was changed. "
                "Empty it, or name another database, bucket and prefix in the settings."
            )

    def _name(self) -> str:
        chosen = self._settings
        return f"database {chosen.mongo.database}, bucket {chosen.s3.bucket} and the topics of Kafka"


@asynccontextmanager
async def opened(settings: Settings, clock: Clock) -> AsyncIterator[ClusterSide]:
    side = ClusterSide(settings, clock)
    try:
        yield side
    finally:
        await side.close()


async def _unpublished(events: Sequence[Event]) -> None:
    """What is saved through this side has no events."""
