"""The folder that backups are kept in.

    anteroom-backup.json      whose backups these are
    objects/<key>             bytes, shared by all backups here
    backups/<time>/           one backup: manifest.json, objects.jsonl, and its state
    backups/<time>.part/      one in the making, or broken off

An object never changes under its key, so a further backup copies only new ones. A backup counts from the
moment its folder has its name; what no kept backup lists is removed after that.
"""

import heapq
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast

from anteroom.moving.durable import LOST_AND_FOUND, alone, read_json, write_json
from anteroom.moving.manifest import NAME, OBJECTS, HashingReader, Listed, listed
from anteroom.moving.ports import Item
from anteroom.moving.progress import Progress
from anteroom.moving.trouble import MoveError
from kit.durable import sync
from kit.errors import NotFound
from kit.objects.files import FileObjects

_MARK = "anteroom-backup.json"


class Vault:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._backups = folder / "backups"
        self._place: FileObjects | None = None

    @property
    def objects(self) -> FileObjects:
        if self._place is None:
            self._place = FileObjects(self.folder / "objects")
        return self._place

    @contextmanager
    def opened(self, kind: str, fingerprint: str) -> Iterator[None]:
        """For writing, by one process. Raises MoveError for a folder that holds anything else."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        mark = {"format": 1, "kind": kind, "installation": fingerprint}
        known = read_json(self.folder / _MARK)
        others = {path.name for path in self.folder.iterdir()} - {f"{_MARK}.new", LOST_AND_FOUND}
        if known is None and others:
            raise MoveError(f"{self.folder} holds other things. Give --to an empty or a new folder.")
        if known is not None and known != mark:
            raise MoveError(
                f"{self.folder} holds the backups of another installation. Give --to another one."
            )
        if known is None:
            write_json(self.folder / _MARK, mark)
        with alone(
            self.folder / "lock", f"Another backup is being written to {self.folder}. Wait for its end."
        ):
            self._backups.mkdir(exist_ok=True, mode=0o700)
            for left in self._backups.glob("*.part"):
                shutil.rmtree(left)
            self.objects.discard_unfinished()
            yield

    def stamps(self) -> list[str]:
        """The finished backups, oldest first."""
        if not self._backups.is_dir():
            return []
        return sorted(path.parent.name for path in self._backups.glob(f"*/{NAME}") if not _part(path.parent))

    def place(self, stamp: str) -> Path:
        return self._backups / stamp

    def begin(self, now: datetime) -> Path:
        """A folder for the state of a new backup, which does not count yet."""
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        known = self.stamps()
        if known and stamp <= known[-1]:
            raise MoveError(f"There is a backup {known[-1]} already. Wait a second, or set the clock right.")
        folder = self._backups / f"{stamp}.part"
        folder.mkdir(mode=0o700)
        return folder

    def finish(self, folder: Path) -> str:
        """From here on it counts."""
        for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
            sync(path)
        final = folder.with_suffix("")
        folder.rename(final)
        sync(self._backups)
        return final.name

    def take(
        self, listing: Path, items: Iterable[Item], progress: Progress, earlier: Path | None = None
    ) -> tuple[int, int, int]:
        """Copy the objects that are not here yet, and list all of them in a new file. They come in key order.
        `earlier` lists what is known to be here; by default the newest backup does. Returns how many there
        are, their bytes, and how many were copied. What vanishes before it is read is left out."""
        before = self._newest() if earlier is None else listed(earlier)
        known = next(before, None)
        count = size = copied = 0
        with listing.open("wb") as file:
            for item in items:
                while known is not None and known.key < item.key:
                    known = next(before, None)
                same = known is not None and (known.key, known.size) == (item.key, item.size)
                try:
                    taken, new = self._take_one(item, known if same else None)
                except NotFound:
                    continue
                file.write(taken.line())
                count, size, copied = count + 1, size + taken.size, copied + new
                progress.advance(1, taken.size)
        return count, size, copied

    def _take_one(self, item: Item, known: Listed | None) -> tuple[Listed, bool]:
        here = self.objects.stat(item.key)
        if here is not None and here.size == item.size:
            if known is not None:
                return known, False
            # of a backup that broke off: it is whole, but nobody noted its hash
            return Listed(item.key, *_hash_of(self.objects.open(item.key))), False
        with item.open() as file:
            reader = HashingReader(file)
            self.objects.upload(item.key, cast(BinaryIO, reader), item.size)
        if reader.size != item.size:
            self.objects.delete(item.key)
            raise MoveError("An object became shorter while it was read. Check the disk, then run it again.")
        return Listed(item.key, reader.size, reader.hexdigest()), True

    def _newest(self) -> Iterator[Listed]:
        stamps = self.stamps()
        return listed(self.place(stamps[-1]) / OBJECTS) if stamps else iter(())

    def prune(self, keep: int) -> int:
        """Remove all but the newest `keep` backups, and what none of them lists. Returns how many went."""
        stamps = self.stamps()
        gone = stamps[:-keep]
        for stamp in gone:
            # its manifest first: a backup is whole or does not count
            (self.place(stamp) / NAME).unlink()
            shutil.rmtree(self.place(stamp))
        for left in self._backups.iterdir():
            if not (left / NAME).exists():
                shutil.rmtree(left)
        wanted = heapq.merge(
            *(listed(self.place(s) / OBJECTS) for s in stamps[-keep:]), key=lambda item: item.key
        )
        known = next(wanted, None)
        for stat in self.objects.list(""):
            while known is not None and known.key < stat.key:
                known = next(wanted, None)
            if known is None or known.key != stat.key:
                self.objects.delete(stat.key)
        return len(gone)


def check_objects(vault: Vault, listing: Path) -> tuple[int, int]:
    """Raises MoveError unless every listed object is there in its size; returns count and bytes."""
    count = size = missing = 0
    for item in listed(listing):
        found = vault.objects.stat(item.key)
        missing += found is None or found.size != item.size
        count, size = count + 1, size + item.size
    if missing:
        raise MoveError(
            f"The backup is damaged: {missing:,} of its objects are missing or cut. Use another one."
        )
    return count, size


def _hash_of(file: BinaryIO) -> tuple[int, str]:
    with file:
        reader = HashingReader(file)
        while reader.read(1 << 20):
            pass
    return reader.size, reader.hexdigest()


def _part(path: Path) -> bool:
    return path.suffix == ".part"
