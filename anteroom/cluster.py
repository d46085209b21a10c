"""The cluster installation: Kafka, MongoDB and S3 between processes that each run one service, or all."""

import asyncio
import hashlib
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from anteroom import composition  # noqa: F401 - loads every service, and so declares its collections
from anteroom.embedded import site_key
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
from kit.service import Kit, Service
from kit.workers import Workers

_log = logging.getLogger(__name__)

_AGAIN_S = 2.0


class WrongSiteKey(AnteroomError):
    """This process has another site key than the installation was made with."""


class Installation(Doc):
    """What every process of one installation must agree on."""

    key_fingerprint: str


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
        """Reach every engine, with its indexes and bucket. Raises TransientError, and WrongSiteKey."""
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
        mine = hashlib.sha256(b"fingerprint\x1f" + self.kit.site_key).hexdigest()
        known = await self.documents.get(INSTALLATION, "site")
        if known is None:
            known = Installation(id="site", key_fingerprint=mine)
            try:
                await self.documents.save(INSTALLATION, known)
            except VersionConflict:
                return await self._agree_on_key()
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
    objects = S3Objects(S3Settings(**s3.model_dump(exclude={"create_bucket"})))
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


def collections(services: Sequence[str] | None = None) -> list[Collection[Any]]:
    """Every declared collection, or those that the named services write. What kit declares is portal's."""
    found: dict[str, Collection[Any]] = {}
    for module in [m for name, m in list(sys.modules.items()) if _writes(name, services)]:
        found |= {
            c.name: c for c in vars(module).values() if isinstance(c, Collection) and _made_in(c, module)
        }
    return [found[name] for name in sorted(found)]


def _writes(module: str, services: Sequence[str] | None) -> bool:
    parts = module.split(".")
    if parts[0] == "services" and len(parts) > 1:
        return services is None or parts[1] in services
    if parts[0] == "kit":
        return services is None or "portal" in services
    return module == __name__ and services is None


def _made_in(collection: Collection[Any], module: ModuleType) -> bool:
    """Not merely imported there: a collection lives beside its model, or near."""
    home: str = collection.model.__module__
    return home.split(".")[:2] == module.__name__.split(".")[:2]


async def until_reached(
    what: str, attempt: Callable[[], Awaitable[None]], stop: asyncio.Event, state: Callable[[str], None]
) -> bool:
    """Try until it works; False when told to stop before. `state` is told what is missing."""
    while not stop.is_set():
        try:
            await attempt()
            return True
        except TransientError as error:
            _log.warning("%s: %s; trying again", what, error)
            state(str(error))
        try:
            await asyncio.wait_for(stop.wait(), _AGAIN_S)
        except TimeoutError:
            continue
    return False


class Doors:
    """Readiness of this process: what is missing for it to do its work, engine by engine."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.starting: str | None = "It is still starting."
        """None once everything runs."""

    def service(self) -> Service:
        return Service(
            name="engines",
            checks={
                "start-door": self._started,
                "events-door": self._cluster.bus.trouble,
                "documents-door": self._documents,
                "objects-door": self._objects,
            },
        )

    async def _started(self) -> str | None:
        return self.starting

    async def _documents(self) -> str | None:
        return await _said(self._cluster.mongo.ping())

    async def _objects(self) -> str | None:
        return await _said(asyncio.to_thread(self._cluster.objects.ping))


async def _said(attempt: Awaitable[None]) -> str | None:
    try:
        await attempt
    except TransientError as error:
        return str(error)
    return None
