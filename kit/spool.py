"""The local spool: tar files that grow file by file, each durable before its sender hears "success".

One SpoolFile is one batch in the making (its id is the batch's id): `<id>.tar` beside `<id>.json`,
which says whose it is and is durable before the first byte. A member's data is written first and
its header last, with a CRC-32 of the data in the header's user-name field; so after a crash
`Spool.recover` keeps exactly the members that are whole and cuts off the rest. Made for one
process: a folder has one owner, and `recover` runs before the first `open`.
"""

import asyncio
import errno
import logging
import os
import shutil
import zlib
from collections.abc import AsyncIterable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import orjson

from kit import hold
from kit.durable import sync
from kit.errors import NoSpace, TooLarge, Unavailable
from kit.ids import random_id
from kit.spool_tar import BLOCK, Member, completed, header_of, padded, whole_members

_GATHER = 1 << 20
_RECHECK = 64 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)

_log = logging.getLogger(__name__)

Chunk = bytes | bytearray | memoryview
R = TypeVar("R")


def no_space() -> NoSpace:
    return NoSpace("The receiving disk is full. Nothing of this was kept; please send it again later.")


class Spool:
    """A folder of spool files. `reserve`: bytes that stay free on the volume (below it: NoSpace)."""

    def __init__(self, folder: Path, *, reserve: int = 0) -> None:
        self._folder = folder
        self._reserve = reserve

    def has_room(self, size: int = 0) -> bool:
        """Whether `size` more bytes would leave the reserve untouched."""
        place = self._folder if self._folder.exists() else self._folder.parent
        return shutil.disk_usage(place).free - size >= self._reserve

    def check_room(self, size: int = 0) -> None:
        """Raises NoSpace."""
        if not self.has_room(size):
            raise no_space()

    def oldest(self, kind: str) -> float | None:
        """When the oldest file of this kind here that has a whole member was opened, in seconds since 1970;
        None when there is none. One that is still being sent holds nothing that was acknowledged."""
        times = []
        for side in self._folder.glob("*.json"):
            with suppress(FileNotFoundError, ValueError):
                owner = orjson.loads(side.read_bytes())
                with side.with_suffix(".tar").open("rb") as tar:
                    # a member's header is written last
                    begun = any(tar.read(BLOCK))
                if begun and owner.get("kind") == kind:
                    times.append(side.stat().st_mtime)
        return min(times, default=None)

    async def open(self, owner: Mapping[str, Any], *, spool_id: str | None = None) -> "SpoolFile":
        """Start a new spool file. `owner` is kept as JSON beside it and given back by recover.
        Raises NoSpace."""
        self.check_room()
        return await asyncio.to_thread(self._open, spool_id or random_id(), dict(owner))

    def _open(self, spool_id: str, owner: dict[str, Any]) -> "SpoolFile":
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            side, tar = self._folder / f"{spool_id}.json", self._folder / f"{spool_id}.tar"
            partial = side.with_suffix(".tmp")
            with partial.open("wb") as file:
                file.write(orjson.dumps(owner))
                file.flush()
                os.fsync(file.fileno())
            fd = os.open(tar, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            partial.rename(side)
            sync(self._folder)
        except OSError as error:
            raise (no_space() if error.errno in _FULL else error) from error
        return SpoolFile(self, spool_id, tar, fd, owner, [])

    async def recover(self, kind: str | None = None) -> list["SpoolFile"]:
        """What an earlier process left behind, each cut to its whole members, ready to be sealed.

        One whose tar is gone (adopted by the object store already) has `adopted` True. With a
        `kind`, only files whose owner record has this kind are read; the others come closed and
        without members, to be forgotten.
        """
        return await asyncio.to_thread(self._recover, kind)

    def _recover(self, kind: str | None) -> list["SpoolFile"]:
        if not self._folder.exists():
            return []
        hold.forget_aside(self._folder)
        for partial in self._folder.glob("*.tmp"):
            partial.unlink()
        found = []
        for side in sorted(self._folder.glob("*.json")):
            try:
                owner = dict(orjson.loads(side.read_bytes()))
            except ValueError:
                _log.error("a file of the spool has no readable owner; it is left there for the operator")
                continue
            tar = side.with_suffix(".tar")
            if not tar.exists() or (kind is not None and owner.get("kind") != kind):
                found.append(SpoolFile(self, side.stem, tar, -1, owner, []))
                continue
            fd = os.open(tar, os.O_RDWR | os.O_CLOEXEC)
            with os.fdopen(os.dup(fd), "rb") as file:
                members = list(whole_members(file))
            spooled = SpoolFile(self, side.stem, tar, fd, owner, members)
            os.ftruncate(fd, spooled.size)
            os.fdatasync(fd)
            found.append(spooled)
        for tar in self._folder.glob("*.tar"):
            if not tar.with_suffix(".json").exists():
                tar.unlink()
        return found


class SpoolFile:
    """One growing tar. Appends are serial; callers that want to overlap use one file each."""

    def __init__(
        self, spool: Spool, spool_id: str, path: Path, fd: int, owner: dict[str, Any], members: list[Member]
    ) -> None:
        self.id = spool_id
        self.path = path
        self.owner = owner
        self.members = members
        """Whole members so far, in order."""
        self._spool = spool
        self._fd = fd
        self._end = padded(members[-1].offset + members[-1].size) if members else 0
        self._lock = asyncio.Lock()
        self._broken = False
        self.adopted = fd < 0

    @property
    def size(self) -> int:
        """Bytes of the tar so far, without the two end blocks."""
        return self._end

    async def append(
        self, name: str, chunks: AsyncIterable[Chunk], *, limit: int | None = None, sync: bool = True
    ) -> Member:
        """Write one file of yet unknown length, durable on return unless `sync` is False (then
        sync() makes it so). Chunks must not change after they were yielded.

        Nothing of the file is kept when it fails: NoSpace (disk full or reserve reached), TooLarge
        (more than `limit` bytes), Unavailable (the disk reports errors), or whatever `chunks`
        raises, cancellation included.
        """
        async with self._lock:
            if self._broken:
                raise Unavailable("spool", "the disk reported an error")
            try:
                return await self._append(name, chunks, limit, sync)
            except BaseException:
                self._roll_back()
                raise

    async def _append(self, name: str, chunks: AsyncIterable[Chunk], limit: int | None, sync: bool) -> Member:
        self._spool.check_room()
        header = header_of(name)
        start = self._end + len(header)
        size = crc = held = 0
        gathered: list[Chunk] = []
        checked = _RECHECK
        async for chunk in chunks:
            if not len(chunk):
                continue
            gathered.append(chunk)
            held += len(chunk)
            if limit is not None and size + held > limit:
                raise TooLarge("file-too-large", f"A file is larger than the limit of {limit:,} bytes.")
            if held >= _GATHER or len(gathered) >= 512:
                crc = await self._disk(lambda: _write(self._fd, gathered, start + size, crc))  # noqa: B023
                size, held, gathered = size + held, 0, []
            if size >= checked:
                self._spool.check_room()
                checked += _RECHECK
        last_at, data_size = start + size, size + held

        def finish() -> None:
            total_crc = _write(self._fd, gathered, last_at, crc) if gathered else crc
            end = padded(start + data_size)
            if end > start + data_size:
                os.pwrite(self._fd, bytes(end - start - data_size), start + data_size)
            os.pwrite(self._fd, completed(header, data_size, total_crc), self._end)
            if sync:
                os.fdatasync(self._fd)

        await self._disk(finish)
        member = Member(name, start, data_size)
        self.members.append(member)
        self._end = padded(start + data_size)
        return member

    def _roll_back(self) -> None:
        try:
            os.ftruncate(self._fd, self._end)
        except OSError:
            self._broken = True

    async def sync(self) -> None:
        """Make durable what was appended with sync=False. Raises NoSpace, Unavailable."""
        async with self._lock:
            await self._disk(lambda: os.fdatasync(self._fd))

    async def _disk(self, work: Callable[[], R]) -> R:
        """Our own reading and writing, in a thread. A disk that reported an error once is not
        trusted again: after a failed sync the next one succeeds without the lost pages."""
        try:
            return await _in_thread(work)
        except OSError as error:
            if error.errno in _FULL:
                raise no_space() from error
            self._broken = True
            raise Unavailable("spool", f"the disk reported error {error.errno}") from error

    async def seal(self) -> Path:
        """Write the tar's end, sync, close. The path is then ready for Objects.adopt. Raises NoSpace."""
        async with self._lock:
            if self._fd >= 0:
                try:
                    await _in_thread(self._seal)
                except OSError as error:
                    raise (no_space() if error.errno in _FULL else error) from error
            return self.path

    def _seal(self) -> None:
        os.pwrite(self._fd, bytes(2 * BLOCK), self._end)
        os.ftruncate(self._fd, self._end + 2 * BLOCK)
        os.fdatasync(self._fd)
        fd, self._fd = self._fd, -1
        os.close(fd)

    async def forget(self) -> None:
        """The batch is known elsewhere (or not wanted): remove every trace, the tar included."""
        async with self._lock:
            await asyncio.to_thread(self._forget)

    def _forget(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
        self.path.unlink(missing_ok=True)
        hold.remove(self.path.parent, self.path.with_suffix(".json"))

    async def release(self) -> None:
        """Close the file and leave it where it is, for recover in the next process."""
        async with self._lock:
            if self._fd >= 0:
                fd, self._fd = self._fd, -1
                os.close(fd)


def _write(fd: int, chunks: list[Chunk], offset: int, crc: int) -> int:
    """Write all chunks at offset, whole, and return the continued CRC."""
    for chunk in chunks:
        crc = zlib.crc32(chunk, crc)
    views = [memoryview(chunk).cast("B") for chunk in chunks]
    while views:
        done = os.pwritev(fd, views, offset)
        offset += done
        while views and done >= len(views[0]):
            done -= len(views.pop(0))
        if views:
            views[0] = views[0][done:]
    return crc


async def _in_thread(work: Callable[[], R]) -> R:
    """Like asyncio.to_thread, but a cancelled caller waits until the thread has let go of the file."""
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise
