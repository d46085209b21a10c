"""One backup in one tar file, to be put on a medium or sent away: manifest first, then state, then objects.

Written whole or not at all, read from its beginning to its end. For data folders alone: it can't hold what
a cluster deletes while it is read.
"""

import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from anteroom.moving.manifest import (
    NAME,
    OBJECTS,
    HashingReader,
    Listed,
    Manifest,
    checked_parts,
    listed,
    read,
)
from anteroom.moving.ports import Item
from anteroom.moving.progress import Progress
from anteroom.moving.trouble import MoveError
from kit.durable import sync

_OBJECTS = "objects/"
_BLOCK = 1 << 20
_DAMAGED = "{file} is damaged or cut off. Use another backup."


class TarVault:
    """Where one backup is written to, with the ways of a Vault."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stage = file.with_name(f".{file.name}.part")
        self._items: list[tuple[Listed, Item]] = []

    @contextmanager
    def opened(self, kind: str, fingerprint: str) -> Iterator[None]:
        if self._file.exists():
            raise MoveError(
                f"{self._file} exists already. Name another file, or a folder for several backups."
            )
        shutil.rmtree(self._stage, ignore_errors=True)
        self._stage.mkdir(parents=True, mode=0o700)
        try:
            yield
        finally:
            shutil.rmtree(self._stage, ignore_errors=True)

    def begin(self, now: datetime) -> Path:
        folder = self._stage / now.strftime("%Y%m%dT%H%M%SZ")
        folder.mkdir(mode=0o700)
        return folder

    def take(self, listing: Path, items: Iterable[Item], progress: Progress) -> tuple[int, int, int]:
        """Hash them: their list goes before them into the file."""
        size = 0
        with listing.open("wb") as file:
            for item in items:
                with item.open() as content:
                    reader = HashingReader(content)
                    while reader.read(_BLOCK):
                        pass
                taken = Listed(item.key, reader.size, reader.hexdigest())
                self._items.append((taken, item))
                file.write(taken.line())
                size += reader.size
                progress.advance(1, reader.size)
        return len(self._items), size, len(self._items)

    def finish(self, folder: Path) -> str:
        new = self._stage / "new"
        with open(os.open(new, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                state = [path for path in folder.rglob("*") if path.is_file() and path.name != NAME]
                for path in [folder / NAME, *sorted(state)]:
                    with path.open("rb") as content:
                        _add(tar, path.relative_to(folder).as_posix(), path.stat().st_size, content)
                for taken, item in self._items:
                    with item.open() as content:
                        _add(tar, _OBJECTS + taken.key, taken.size, content)
                    _forget(tar)
            file.flush()
            os.fsync(file.fileno())
        new.rename(self._file)
        sync(self._file.parent)
        return folder.name

    def prune(self, keep: int) -> int:
        return 0


@dataclass
class InTar:
    """A backup in a tar file; its state was unpacked into `folder`."""

    manifest: Manifest
    seal: str
    folder: Path
    file: Path
    one_by_one: bool = True

    def objects(self) -> Iterator[tuple[Listed, Callable[[], BinaryIO]]]:
        wanted = listed(self.folder / OBJECTS)
        with _reading(self.file) as tar:
            for member in _members(tar):
                if not member.name.startswith(_OBJECTS):
                    continue
                item = next(wanted, None)
                if item is None or (item.key, item.size) != (member.name[len(_OBJECTS) :], member.size):
                    raise MoveError(_DAMAGED.format(file=self.file))
                yield item, partial(_content, tar, member)
        if next(wanted, None) is not None:
            raise MoveError(_DAMAGED.format(file=self.file))


@contextmanager
def opened(file: Path) -> Iterator[InTar]:
    """Its state is unpacked where temporary files go, and checked. Raises MoveError."""
    with tempfile.TemporaryDirectory(prefix="anteroom-restore-") as name:
        folder = Path(name)
        with _reading(file) as tar:
            members = _members(tar)
            _unpack(tar, next(members), folder, NAME)
            manifest, seal = read(folder)
            known = {part.name for part in manifest.parts}
            for member in members:
                if member.name.startswith(_OBJECTS):
                    break
                if member.name not in known:
                    raise MoveError(_DAMAGED.format(file=file))
                _unpack(tar, member, folder, member.name)
        checked_parts(folder, manifest.parts)
        if file.stat().st_size < manifest.object_bytes:
            raise MoveError(_DAMAGED.format(file=file))
        yield InTar(manifest, seal, folder, file)


@contextmanager
def _reading(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(file, "r|") as tar:
            yield tar
    except (tarfile.TarError, StopIteration, EOFError) as error:
        raise MoveError(_DAMAGED.format(file=file)) from error


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (member := tar.next()) is not None:
        _forget(tar)
        yield member


def _forget(tar: tarfile.TarFile) -> None:
    """It would keep every member's header until the end."""
    cast(Any, tar).members = []


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, name: str) -> None:
    """Raises MoveError unless it is a regular file of that name, which lies within the folder."""
    if member.name != name or not member.isreg() or ".." in Path(name).parts or Path(name).is_absolute():
        raise MoveError("This is no backup of Anteroom, or it is damaged.")
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with _content(tar, member) as content, target.open("wb") as file:
        shutil.copyfileobj(content, file, _BLOCK)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO:
    return cast(BinaryIO, _Content(cast(BinaryIO, tar.extractfile(member)), str(tar.name)))


class _Content(io.RawIOBase):
    """Reading it raises MoveError where the file ends before."""

    def __init__(self, content: BinaryIO, name: str) -> None:
        self._content = content
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        try:
            found = self._content.read(len(buffer))
        except tarfile.TarError as error:
            raise MoveError(_DAMAGED.format(file=self._name)) from error
        buffer[: len(found)] = found
        return len(found)


def _add(tar: tarfile.TarFile, name: str, size: int, content: BinaryIO) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    tar.addfile(info, content)
