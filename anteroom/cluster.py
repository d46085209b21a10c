"""The cluster installation: Kafka, MongoDB and S3 between processes that each run one service, or all."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from anteroom.collections import collections as collections
from anteroom.embedded import site_key
from anteroom.moving.fingerprint import of_key
from anteroom.settings import Settings
from kit.bus.kafka import KafkaBus
from kit.bus.kafka_settings import KafkaSettings
from kit.clock import Clock, utc_now
from kit.documents.mongo import Mongo, MongoDocuments, MongoSettings
from kit.documents.port import Collection, Doc
from kit.errors import AnteroomError, TransientError, VersionConflict
from kit.identity import Identity
from kit.ids import random_id
from kit.objects.s3 import S3Objects, S3Settings
from kit.service import Kit
from kit.workers import Workers

_log = logging.getLogger(__name__)

_AGAIN_S = 2.0
_SAID_AGAIN_S = 60.0


class WrongSiteKey(AnteroomError):
    """This process has another site key than the installation was made with."""


class Installation(Doc):
    """What every process of one installation must agree on."""

    key_fingerprint: str
    moving: str = ""
    """The move into this cluster that is not finished; services wait for its end."""
    moved: str = ""
    """The move that brought what is here."""


INSTALLATION = Collection("installation", Installation)


@dataclass(frozen=True)
class Cluster:
    """The kit on the cluster adapters. Nothing is connected yet: engines may come later than we do."""

    kit: Kit
    bus: KafkaBus
    mongo: Mongo
    documents: MongoDocuments
    objects: S3Objects
    settings: Settings

    async def connect(self) -> None:
        """Reach every engine, with its indexes and bucket. Raises TransientError, also while a move into this
        cluster is not finished, and WrongSiteKey."""
        await self.mongo.ping()
        if self.settings.mongo.create_indexes:
            await self.documents.ensure_indexes(collections())
        await asyncio.to_thread(
            self.objects.ensure_bucket if self.settings.s3.create_bucket else self.objects.ping
        )
        await self._agree_on_key()

    async def close(self) -> None:
        """Stop the bus first: its handlers use everything else."""
        await self.bus.stop()
        await self.kit.workers.stop()
        self.mongo.close()

    async def _agree_on_key(self) -> None:
        mine = of_key(self.kit.site_key)
        known = await self.documents.get(INSTALLATION, "site")
        if known is None:
            known = Installation(id="site", key_fingerprint=mine)
            try:
                await self.documents.save(INSTALLATION, known)
            except VersionConflict:
                return await self._agree_on_key()
        if known.moving:
            raise TransientError(
                "an installation is being moved here; its `anteroom migrate` or `restore` must end"
            )
        if known.key_fingerprint != mine:
            raise WrongSiteKey(
                "This process has another site key than the installation it joins, and would give studies "
                "other ids. Give process.key_file the key that all processes share."
            )
        return None


def open_cluster(settings: Settings, scratch: Path, *, clock: Clock = utc_now) -> Cluster:
    """Build the adapters without connecting them."""
    process, kafka, mongo, s3 = settings.process, settings.kafka, settings.mongo, settings.s3
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    bus = KafkaBus(KafkaSettings(**kafka.model_dump()), clock)
    connection = Mongo(MongoSettings(**mongo.model_dump(exclude={"create_indexes"})))
    documents = MongoDocuments(connection.database, bus.publish, clock)
    objects = S3Objects(S3Settings(**s3.model_dump(exclude={"create_bucket"}), scratch=scratch))
    kit = Kit(
        documents=documents,
        bus=bus,
        objects=objects,
        identity=Identity(documents, clock),
        workers=Workers(process.workers),
        clock=clock,
        site=settings.site,
        site_key=site_key(process.key_file or process.data / "site.key"),
        scratch=scratch,
        owner=random_id(),
        exclusive=False,
    )
    return Cluster(kit, bus, connection, documents, objects, settings)


async def until_reached(
    what: str, attempt: Callable[[], Awaitable[None]], stop: asyncio.Event, state: Callable[[str], None]
) -> bool:
    """Try until it works; False when told to stop before. `state` is told what is missing; the log too, once
    a minute while it stays the same."""
    said, said_at = "", 0.0
    while not stop.is_set():
        try:
            await attempt()
            return True
        except TransientError as error:
            now = asyncio.get_running_loop().time()
            if str(error) != said or now - said_at >= _SAID_AGAIN_S:
                said, said_at = str(error), now
                _log.warning("%s: %s; trying again until it works", what, error)
            state(str(error))
        try:
            await asyncio.wait_for(stop.wait(), _AGAIN_S)
        except TimeoutError:
            continue
    return False
