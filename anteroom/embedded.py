"""The embedded installation: one process owns one data folder and runs every service in it."""

import fcntl
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from anteroom.moving import marks
from kit.bus.embedded import EmbeddedBus
from kit.clock import Clock, utc_now
from kit.documents.sqlite import SqliteDocuments
from kit.documents.store import Store
from kit.durable import sync_folder
from kit.errors import AnteroomError
from kit.identity import Identity
from kit.ids import random_id
from kit.objects.files import FileObjects
from kit.service import Kit, Site
from kit.workers import BEHIND, Workers


class DataFolderInUse(AnteroomError):
    """Another process owns the data folder."""


class NotToBeStarted(AnteroomError):
    """The data folder is half restored, or moved away. The text says what to do."""


@dataclass(frozen=True)
class Embedded:
    """The kit on embedded adapters, with what must be closed at the end."""

    kit: Kit
    store: Store
    lock: IO[str]

    async def close(self) -> None:
        """Stop the bus first: its handlers use everything else."""
        await self.kit.bus.stop()
        await self.kit.workers.stop()
        await self.store.close()
        self.lock.close()


def open_embedded(
    data: Path,
    site: Site,
    *,
    workers: int = 2,
    key_file: Path | None = None,
    clock: Clock = utc_now,
    moving: bool = False,
) -> Embedded:
    """Take the data folder and open the adapters on it; `moving`: to move it away, not to serve.
    Raises DataFolderInUse, NotToBeStarted."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _take(data / "lock")
    if not moving and (reason := marks.why_not(data)):
        lock.close()
        raise NotToBeStarted(reason)
    store = Store(data / "anteroom.db")
    documents = SqliteDocuments(store)
    objects = FileObjects(data / "objects")
    objects.discard_unfinished()
    scratch = data / "spool"
    scratch.mkdir(exist_ok=True)
    kit = Kit(
        documents=documents,
        bus=EmbeddedBus(store, clock),
        objects=objects,
        identity=Identity(documents, clock),
        workers=Workers(workers, nice=BEHIND),
        clock=clock,
        site=site,
        site_key=site_key(key_file or data / "site.key"),
        scratch=scratch,
        owner=random_id(),
        exclusive=True,
    )
    return Embedded(kit, store, lock)


def site_key(path: Path) -> bytes:
    """The installation's secret, 32 bytes, made at the first start. Losing it makes study ids unknown."""
    if not path.exists():
        temporary = path.with_suffix(".new")
        write_private(temporary, secrets.token_hex(32))
        temporary.rename(path)
        sync_folder(path.parent)
    return bytes.fromhex(path.read_text().strip())


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, durably."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _take(path: Path) -> IO[str]:
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise DataFolderInUse(
            f"The data folder {path.parent} is in use by another Anteroom. "
            "Stop it, or give --data another folder."
        ) from error
    return file
