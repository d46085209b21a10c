"""The objects port: bytes by key, written once and whole, read by range.

All calls block and may be made from any thread or helper process; event loops wrap them in
asyncio.to_thread. Keys are made by the program alone, of [a-z0-9._/-]: nothing from outside
(a file name, a UID) ever becomes part of one.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self


@dataclass(frozen=True)
class ObjectStat:
    key: str
    size: int


class ObjectWriter(Protocol):
    """A growing object that exists only after commit(). Leaving the context without it drops all."""

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def tell(self) -> int:
        """Bytes written so far."""
        ...

    def commit(self) -> ObjectStat:
        """Make it durable and visible, replacing what had the key. Raises NoSpace."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Objects(Protocol):
    def put(self, key: str, chunks: Iterable[bytes | bytearray | memoryview]) -> ObjectStat:
        """Write whole, atomically; durable on return. Raises NoSpace when the volume is full."""
        ...

    def writer(self, key: str) -> ObjectWriter: ...

    def adopt(self, key: str, path: Path) -> ObjectStat:
        """Take over a finished local file (moved where the adapter can, else copied and removed)."""
        ...

    def upload(self, key: str, file: BinaryIO, size: int) -> None:
        """Store the next `size` bytes of the file: atomic, durable on return. Raises NoSpace."""
        ...

    def copy(self, source: str, key: str) -> ObjectStat:
        """Give an object a second name, under which it stays when the first is deleted: no bytes move
        where the adapter can. Atomic, durable on return; replaces what had the key. Raises NotFound."""
        ...

    def view(self, key: str) -> AbstractContextManager[memoryview]:
        """All bytes of a small object, to be read within the block: not copied where the adapter can.
        Raises NotFound."""
        ...

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """One range, whole, at most 64 MiB. Raises NotFound. Shorter only at the object's end."""
        ...

    def stream(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """A range in blocks of at most 1 MiB."""
        ...

    def open(self, key: str) -> BinaryIO:
        """A seekable, buffered reader. Raises NotFound."""
        ...

    def stat(self, key: str) -> ObjectStat | None: ...

    def list(self, prefix: str) -> Iterator[ObjectStat]: ...

    def delete(self, key: str) -> None:
        """Absent is no error."""
        ...
