"""The embedded installation: one process owns one data folder and runs every service in it."""

import fcntl
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from anteroom.moving import marks
from kit.bus.embedded import EmbeddedBus
from kit.clock import Clock, utc_now
from kit.documents.sqlite import SqliteDocuments
from kit.documents.store import Store
from kit.durable import sync
from kit.errors import AnteroomError
from kit.identity import Identity
from kit.ids import random_id
from kit.objects.files import FileObjects
from kit.service import Kit, Site
from kit.workers import BEHIND, Workers


class DataFolderInUse(AnteroomError):
    """Another process owns the data folder."""


class DataFolderUnusable(AnteroomError):
    """It can't be made or written to."""


class BadSiteKey(AnteroomError):
    """The file of the site key can't be read, or holds no key."""


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
    Raises DataFolderInUse, DataFolderUnusable, NotToBeStarted."""
    lock = take(data)
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
    """The installation's secret, 32 bytes, made at the first start. Losing it makes study ids unknown.
    Raises BadSiteKey."""
    try:
        if not path.exists():
            _make_key(path)
        text = path.read_text().strip()
    except OSError as error:
        raise BadSiteKey(
            f"The site key {path} can't be read or made: {error.strerror}. "
            "Correct process.key_file, or its rights."
        ) from error
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise BadSiteKey(
            f"{path} does not hold a site key: 64 hexadecimal digits, as openssl rand -hex 32 makes them."
        )
    return bytes.fromhex(text)


def _make_key(path: Path) -> None:
    """Processes that share a key and start together agree on one: the first to finish."""
    temporary = path.with_name(f"{path.name}.{random_id()}")
    write_private(temporary, secrets.token_hex(32))
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:
        temporary.rename(path)  # a volume without hard links
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, durably."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def take(data: Path) -> IO[str]:
    """Make the data folder and hold it for this process, until what is returned is closed.
    Raises DataFolderInUse, DataFolderUnusable."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (data / "lock").open("w")
    except OSError as error:
        raise DataFolderUnusable(
            f"The data folder {data} can't be used: {error.strerror}. "
            "Name another with --data, or mend its rights."
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise DataFolderInUse(
            f"The data folder {data} is in use by another Anteroom. Stop it, or give --data another folder."
        ) from error
    return file
