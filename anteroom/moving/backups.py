"""A finished backup to restore from: a folder's newest or a chosen one, or a single tar file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from anteroom.moving import tarred
from anteroom.moving.manifest import (
    OBJECTS,
    HashingReader,
    Listed,
    Manifest,
    checked_parts,
    listed,
    read,
)
from anteroom.moving.progress import Progress
from anteroom.moving.trouble import MoveError
from anteroom.moving.vault import Vault, check_objects

Opener = Callable[[], BinaryIO]


class Backup(Protocol):
    manifest: Manifest
    seal: str
    """Hash of the manifest: which backup this is."""
    folder: Path
    """Where the parts of its state are."""

    one_by_one: bool
    """Whether an object can be opened only before the next one is asked for."""

    def objects(self) -> Iterator[tuple[Listed, Opener]]:
        """In key order."""
        ...


@dataclass
class InFolder:
    manifest: Manifest
    seal: str
    folder: Path
    vault: Vault
    one_by_one: bool = False

    def objects(self) -> Iterator[tuple[Listed, Opener]]:
        for item in listed(self.folder / OBJECTS):
            yield item, partial(self.vault.objects.open, item.key)


@contextmanager
def opened(place: Path, stamp: str | None, progress: Progress) -> Iterator[Backup]:
    """The backup, once its manifest, its state and its objects' sizes were found in order.
    Raises MoveError."""
    progress.step("checking the backup")
    if not place.exists():
        raise MoveError(f"There is no backup at {place}.")
    if place.is_file():
        if stamp is not None:
            raise MoveError("A tar file holds one backup: leave --at away.")
        with tarred.opened(place) as backup:
            yield backup
        return
    vault = Vault(place)
    stamps = vault.stamps()
    if not stamps:
        raise MoveError(f"{place} holds no finished backup.")
    if stamp is not None and stamp not in stamps:
        raise MoveError(f"There is no backup {stamp} at {place}. There are: {', '.join(stamps)}.")
    folder = vault.place(stamp or stamps[-1])
    manifest, seal = read(folder)
    checked_parts(folder, manifest.parts)
    check_objects(vault, folder / OBJECTS)
    yield InFolder(manifest, seal, folder, vault)


def damaged(backup: Backup, progress: Progress) -> int:
    """Read every object; returns how many are not what they were."""
    progress.step("reading every object", backup.manifest.objects)
    wrong = 0
    for item, opener in backup.objects():
        with opener() as file:
            reader = HashingReader(file)
            while reader.read(1 << 20):
                pass
        wrong += reader.hexdigest() != item.sha256
        progress.advance(1, item.size)
    return wrong
