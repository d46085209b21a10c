"""An archive's members repacked into further batches, within limits that hold while it is read."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from kit.archives import ArchiveError, Entry, MemberError, archive_kind, entries
from kit.archives.kinds import HEAD, ArchiveKind
from kit.archives.tar import BLOCK
from kit.ids import derived_id
from kit.objects.port import Objects, ObjectWriter
from schemas.shapes import FileState, ObjectPart
from services.validate.jobs import BatchJob
from services.validate.members import shown
from services.validate.models import ChildBatch, FileRecord

_READ = 1 << 20
_END = bytes(2 * BLOCK)
_DAMAGE = ("archive-damaged", "archive-encrypted", "archive-unsupported")


class _Refused(Exception):
    """The archive as a whole is refused; nothing of it is kept."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Expansion:
    """`refused`: the container counts as one refused file with this code. Otherwise it is not counted:
    its members are, in `children` and, those that can't be read, in `records`."""

    refused: str = ""
    children: list[ChildBatch] = field(default_factory=list)
    records: list[FileRecord] = field(default_factory=list)
    cut_short: bool = False
    skipped: int = 0


def expand(
    objects: Objects,
    job: BatchJob,
    kind: ArchiveKind,
    file: BinaryIO,
    size: int,
    container: FileRecord,
    *,
    allowance: int | None,
) -> Expansion:
    """Read the archive once. The same archive gives the same batches under the same keys.
    `allowance`: bytes it may grow to at most, where an archive around it set a limit.

    Raises NoSpace and TransientError when they can't be written.
    """
    if job.depth >= job.archives.depth:
        return Expansion(refused="archive-too-deep")
    work = _Expanding(objects, job, kind, file, size, container, allowance)
    try:
        work.run()
    except _Refused as error:
        discard(objects, job, container.id)
        return Expansion(refused=error.code)
    finally:
        work.drop_open()
    return work.result


def discard(objects: Objects, job: BatchJob, container: str) -> None:
    """Delete the batches that were written from this archive so far: 1, 2, 3 … without a gap."""
    number = 1
    while found := list(objects.list(f"incoming/{job.submission_id}/{_child_id(job, container, number)}/")):
        for stat in found:
            objects.delete(stat.key)
        number += 1


def _child_id(job: BatchJob, container: str, number: int) -> str:
    return derived_id("batch", job.batch_id, container, str(number))


class _Expanding:
    def __init__(
        self,
        objects: Objects,
        job: BatchJob,
        kind: ArchiveKind,
        file: BinaryIO,
        size: int,
        container: FileRecord,
        allowance: int | None,
    ) -> None:
        self._objects = objects
        self._job = job
        self._container = container
        self._kind: ArchiveKind = kind
        self._file = file
        self._size = size
        own = min(job.archives.total_bytes, max(job.archives.free_bytes, job.archives.ratio * size))
        self._left = own if allowance is None else min(own, allowance)
        self._too_much = "archive-too-large" if self._left == job.archives.total_bytes else "archive-bomb"
        self._child: _ChildTar | None = None
        self._nested: dict[str, int] = {}
        self._children = 0
        self.result = Expansion()

    def run(self) -> None:
        number = 0
        try:
            for entry in self._entries():
                if entry.skipped:
                    self.result.skipped += 1
                    continue
                number += 1
                self._take(entry, number)
        except ArchiveError as error:
            if number == 0 or error.code not in _DAMAGE:
                raise _Refused(error.code) from error
            self.result.cut_short = True
        if number == 0:
            raise _Refused("archive-empty")
        self._close_child()
        self._share_allowance()

    def _entries(self) -> Iterator[Entry]:
        most = self._job.archives.files
        return entries(self._kind, self._file, self._size, self._container.path, most=most)

    def drop_open(self) -> None:
        """Leave no unfinished object behind, whatever ended the run."""
        if self._child is not None:
            self._child.drop()

    def _take(self, entry: Entry, number: int) -> None:
        path = shown(f"{self._container.path}/{entry.name}" if self._container.path else entry.name)
        try:
            with entry.open() as content:
                chunks: list[bytes] = []
                gathered = 0
                while gathered <= self._job.batch_bytes and (chunk := content.read(_READ)):
                    self._spend(len(chunk))
                    chunks.append(chunk)
                    gathered += len(chunk)
                if gathered > self._job.batch_bytes:
                    self._add_large(number, path, chunks, content)
                else:
                    self._add_small(number, path, chunks, gathered)
        except MemberError as error:
            record = FileRecord(
                id=f"{self._container.id}.{number}",
                path=path,
                size=entry.size or 0,
                state=FileState.REFUSED,
                code=error.code,
            )
            self.result.records.append(record)

    def _spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise _Refused(self._too_much)

    def _add_small(self, number: int, path: str, chunks: list[bytes], size: int) -> None:
        child = self._child
        if child is not None and (
            child.size + size > self._job.batch_bytes or child.files >= self._job.batch_files
        ):
            self._close_child()
        if self._child is None:
            self._child = self._new_child()
        self._note_nested(self._child.id, chunks, size)
        self._child.add(number, path, size, iter(chunks))

    def _add_large(self, number: int, path: str, chunks: list[bytes], content: BinaryIO) -> None:
        """A batch of its own. Its size may not be known before its end, so the tar header is an object
        of its own, written last."""
        self._close_child()
        child = self._new_child()
        try:
            size = child.add_streamed(number, path, self._large_chunks(chunks, content))
        except MemberError:
            child.abandon()
            self._children -= 1
            raise
        self._note_nested(child.id, chunks, size)
        self._child = child
        self._close_child()

    def _large_chunks(self, chunks: list[bytes], content: BinaryIO) -> Iterator[bytes]:
        yield from chunks
        while chunk := content.read(_READ):
            self._spend(len(chunk))
            yield chunk

    def _note_nested(self, child_id: str, chunks: list[bytes], size: int) -> None:
        if chunks and archive_kind(b"".join(chunks[:1])[:HEAD]) is not None:
            self._nested[child_id] = self._nested.get(child_id, 0) + size

    def _new_child(self) -> "_ChildTar":
        self._children += 1
        child_id = _child_id(self._job, self._container.id, self._children)
        return _ChildTar(self._objects, f"incoming/{self._job.submission_id}/{child_id}", child_id)

    def _close_child(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        self.result.children.append(
            ChildBatch(
                id=child.id,
                container=self._container.id,
                parts=child.commit(),
                files=child.files,
                allowance=0,
            )
        )

    def _share_allowance(self) -> None:
        """What is left may be used by the archives inside, in proportion to their size: however they
        nest, together they never grow beyond the outermost archive's limit."""
        whole = sum(self._nested.values())
        for child in self.result.children:
            if whole:
                child.allowance = self._left * self._nested.get(child.id, 0) // whole


class _ChildTar:
    """A batch in the making: object `00000`; of one large file its header, and the rest in `00001`."""

    def __init__(self, objects: Objects, prefix: str, child_id: str) -> None:
        self._objects = objects
        self._prefix = prefix
        self.id = child_id
        self.size = 0
        self.files = 0
        self._writer: ObjectWriter | None = None
        self._parts: list[ObjectPart] = []

    def add(self, number: int, path: str, size: int, chunks: Iterator[bytes]) -> None:
        if self._writer is None:
            self._writer = self._objects.writer(f"{self._prefix}/00000")
        self._writer.write(_header(number, path, size))
        for chunk in chunks:
            self._writer.write(chunk)
        self._writer.write(bytes(-size % BLOCK))
        self.size += size
        self.files += 1

    def add_streamed(self, number: int, path: str, chunks: Iterator[bytes]) -> int:
        size = 0
        with self._objects.writer(f"{self._prefix}/00001") as writer:
            for chunk in chunks:
                size += len(chunk)
                writer.write(chunk)
            writer.write(bytes(-size % BLOCK) + _END)
            rest = writer.commit()
        head = self._objects.put(f"{self._prefix}/00000", [_header(number, path, size)])
        self._parts = [ObjectPart(key=stat.key, size=stat.size) for stat in (head, rest)]
        self.files = 1
        return size

    def commit(self) -> list[ObjectPart]:
        if self._writer is not None:
            self._writer.write(_END)
            stat = self._writer.commit()
            self._parts = [ObjectPart(key=stat.key, size=stat.size)]
            self._writer = None
        return self._parts

    def drop(self) -> None:
        if self._writer is not None:
            self._writer.__exit__(None, None, None)
            self._writer = None

    def abandon(self) -> None:
        for stat in list(self._objects.list(f"{self._prefix}/")):
            self._objects.delete(stat.key)


def _header(number: int, path: str, size: int) -> bytes:
    member = tarfile.TarInfo(f"{number}/{path}")
    member.size = size
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "replace")
