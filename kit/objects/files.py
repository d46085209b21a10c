"""Objects as files below one folder: temporary file, fsync, rename, fsync of the folder."""

import errno
import mmap
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from kit import hold
from kit.durable import sync
from kit.errors import NoSpace, NotFound, TransientError
from kit.objects.keys import checked
from kit.objects.port import ObjectStat
from kit.objects.writeback import start_writing
from kit.saying import say

_BLOCK = 1 << 20
_READ_MAX = 64 << 20
_AHEAD = 4 << 20
"""Bytes written before the disk is told to begin with them, so that the sync at the end finds little."""
_NO_LINKS = (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)
"""What file systems without hard links answer, and those that have no more for this file."""


class FileObjects:
    """Picklable: helper processes open the same folder. One installation, one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._temporary = root / ".tmp"
        self._temporary.mkdir(parents=True, exist_ok=True)

    def discard_unfinished(self) -> None:
        """Remove what writers of a dead process left. Call once, before any writer exists."""
        for path in self._temporary.iterdir():
            path.unlink(missing_ok=True)
        hold.forget_aside(self.root)

    def put(self, key: str, chunks: Iterable[bytes | bytearray | memoryview]) -> ObjectStat:
        with self.writer(key) as writer:
            for chunk in chunks:
                writer.write(chunk)
            return writer.commit()

    def writer(self, key: str) -> "FileWriter":
        return FileWriter(self.root, self._temporary / secrets.token_hex(12), checked(key))

    def adopt(self, key: str, path: Path) -> ObjectStat:
        size = path.stat().st_size
        try:
            with path.open("rb") as file:
                os.fsync(file.fileno())
            _move_into_place(self.root, path, checked(key))
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise _named(error) from error
            with path.open("rb") as file:
                self.put(key, iter(lambda: file.read(_BLOCK), b""))
            path.unlink()
        return ObjectStat(key, size)

    def upload(self, key: str, file: BinaryIO, size: int) -> None:
        with self.writer(key) as writer:
            while size > 0 and (block := file.read(min(size, _BLOCK))):
                writer.write(block)
                size -= len(block)
            writer.commit()

    def copy(self, source: str, key: str) -> ObjectStat:
        origin = self.root / checked(source)
        temporary = self._temporary / secrets.token_hex(12)
        try:
            os.link(origin, temporary)
        except FileNotFoundError as error:
            raise NotFound("no-object", "That content is no longer here.") from error
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise _named(error) from error
            return self.put(key, self.stream(source))
        try:
            _move_into_place(self.root, temporary, checked(key))
        except OSError as error:
            raise _named(error) from error
        finally:
            temporary.unlink(missing_ok=True)  # still there where the key was this very file's already
        return ObjectStat(key, (self.root / key).stat().st_size)

    @contextmanager
    def view(self, key: str) -> Iterator[memoryview]:
        with self.open(key) as file:
            if os.fstat(file.fileno()).st_size == 0:
                yield memoryview(b"")
                return
            mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        view = memoryview(mapped)
        try:
            yield view
        finally:
            with suppress(BufferError):  # pieces still referred to keep the map until they go
                view.release()
                mapped.close()

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        with self.open(key) as file:
            if length is None:
                length = max(0, os.fstat(file.fileno()).st_size - start)
            if length > _READ_MAX:
                raise ValueError("ranges over 64 MiB are streamed")
            file.seek(start)
            return file.read(length)

    def stream(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        with self.open(key) as file:
            file.seek(start)
            left = length if length is not None else 1 << 62
            while left > 0 and (block := file.read(min(left, _BLOCK))):
                left -= len(block)
                yield block

    def open(self, key: str) -> BinaryIO:
        try:
            return (self.root / checked(key)).open("rb")
        except FileNotFoundError as error:
            raise NotFound("no-object", "That content is no longer here.") from error

    def stat(self, key: str) -> ObjectStat | None:
        try:
            return ObjectStat(key, (self.root / checked(key)).stat().st_size)
        except FileNotFoundError:
            return None

    def list(self, prefix: str) -> Iterator[ObjectStat]:
        """Objects whose key starts with the prefix, in key order."""
        start = self.root / prefix.rpartition("/")[0]
        found = []
        for folder, folders, names in os.walk(start):
            # what writers and holds keep for themselves
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                path = Path(folder) / name
                key = path.relative_to(self.root).as_posix()
                if key.startswith(prefix) and not key.startswith("."):
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        found.append(ObjectStat(key, path.stat().st_size))
        yield from sorted(found, key=lambda stat: stat.key)

    def delete(self, key: str) -> None:
        path = self.root / checked(key)
        hold.remove(self.root, path)
        for parent in path.parents:
            if parent == self.root:
                return
            try:
                parent.rmdir()
            except OSError:
                return


class FileWriter:
    def __init__(self, root: Path, temporary: Path, key: str) -> None:
        self._root = root
        self._temporary = temporary
        self._key = key
        self._size = 0
        self._started = 0
        self._done = False
        try:
            self._file = temporary.open("wb", buffering=0)
        except OSError as error:
            raise _named(error) from error

    def write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        self._size += len(view)
        try:
            while len(view) > 0:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise _named(error) from error
        if self._size - self._started >= _AHEAD:
            start_writing(self._file.fileno(), self._started, self._size - self._started)
            self._started = self._size

    def tell(self) -> int:
        return self._size

    def commit(self) -> ObjectStat:
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            _move_into_place(self._root, self._temporary, self._key)
        except OSError as error:
            raise _named(error) from error
        self._done = True
        return ObjectStat(self._key, self._size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._done:
            self._file.close()
            self._temporary.unlink(missing_ok=True)


def _move_into_place(root: Path, source: Path, key: str) -> None:
    target = root / key
    while True:
        made = [folder for folder in target.parents if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.rename(target)
            break
        except FileNotFoundError:
            # delete() of a neighbour took the emptied folder away in between
            if not source.exists():
                raise
    for folder in {target.parent, *(folder.parent for folder in made)}:
        sync(folder)


def _named(error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace("The storage is full. Nothing of this was kept; please send it again later.")
    return TransientError(
        say("storage-trouble", "storage: %(trouble)s", trouble=os.strerror(error.errno or 0))
    )
