"""A stream of bytes into objects of a given size each, reading and writing at the same time.

The event loop gathers chunks while a thread writes, hashes and syncs what came before. How much
may wait in memory for the thread is the caller's to say: it knows how many uploads run at once.
"""

import asyncio
import hashlib
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from kit.objects.port import Objects, ObjectWriter

_BLOCK = 1 << 20

Chunk = bytes | memoryview


class Digest(Protocol):
    def update(self, data: Chunk, /) -> None: ...

    def digest(self) -> bytes: ...


class Crc32:
    """CRC-32 as a digest, big-endian."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: Chunk, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


ALGORITHMS: dict[str, Callable[[], Digest]] = {
    "sha256": hashlib.sha256,
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "crc32": Crc32,
}


@dataclass
class _Job:
    chunks: list[Chunk]
    ends_part: bool


class PartWriter:
    """`key_of(number)` gives the keys of the parts from `first` on; `done(number, size)` is awaited
    after each durable one."""

    def __init__(
        self,
        objects: Objects,
        key_of: Callable[[int], str],
        first: int,
        part_bytes: int,
        done: Callable[[int, int], Awaitable[None]],
        digest: Digest | None = None,
        backlog: Callable[[], int] = lambda: 4 << 20,
    ) -> None:
        """`backlog()`: bytes that may wait while the thread is busy."""
        self._backlog = backlog
        self._objects = objects
        self._key_of = key_of
        self._number = first
        self._part_bytes = part_bytes
        self._done = done
        self._digest = digest
        self._writer: ObjectWriter | None = None
        self._in_part = 0
        self._block: list[Chunk] = []
        self._block_size = 0
        self._running: asyncio.Future[int | None] | None = None

    async def feed(self, chunk: Chunk) -> None:
        """Raises NoSpace or what `done` raises."""
        view = chunk
        while self._in_part + len(view) >= self._part_bytes:
            room = self._part_bytes - self._in_part
            self._gather(memoryview(view)[:room] if room < len(view) else view)
            view = memoryview(view)[room:]
            await self._start(ends_part=True)
        if len(view):
            self._gather(view)
        backlog = self._backlog()
        if self._block_size >= (backlog if self._busy() else min(_BLOCK, backlog)):
            await self._start(ends_part=False)

    def _gather(self, chunk: Chunk) -> None:
        self._block.append(chunk)
        self._block_size += len(chunk)
        self._in_part += len(chunk)

    def _busy(self) -> bool:
        return self._running is not None and not self._running.done()

    async def finish(self, keep_rest_from: int = 1) -> None:
        """Make the rest a part of its own, if it has at least so many bytes; wait for everything."""
        if self._in_part >= keep_rest_from:
            await self._start(ends_part=True)
        await self._settle()
        await asyncio.to_thread(self._drop)

    async def drop(self) -> None:
        """Let go of what is no durable part. For use after an error."""
        if self._running is not None:
            await asyncio.wait([self._running])
            self._running = None
        await asyncio.to_thread(self._drop)

    async def _start(self, *, ends_part: bool) -> None:
        await self._settle()
        job = _Job(self._block, ends_part)
        self._block, self._block_size = [], 0
        if ends_part:
            self._in_part = 0
        self._running = asyncio.get_running_loop().run_in_executor(None, self._work, job)

    async def _settle(self) -> None:
        if self._running is None:
            return
        size = await asyncio.shield(self._running)
        self._running = None
        if size is not None:
            number = self._number
            self._number += 1
            await self._done(number, size)

    def _work(self, job: _Job) -> int | None:
        """In a thread: write, and at a part's end make it durable. Returns the size of an ended part."""
        if self._writer is None:
            self._writer = self._objects.writer(self._key_of(self._number))
        block = b"".join(job.chunks)  # one write: each one waits for the interpreter again
        self._writer.write(block)
        if self._digest is not None:
            self._digest.update(block)
        if not job.ends_part:
            return None
        writer, self._writer = self._writer, None
        with writer:
            return writer.commit().size

    def _drop(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.__exit__(None, None, None)
