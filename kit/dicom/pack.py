"""Packs: the clean instances of one study out of one batch, and their index beside. They lie back to
back, or, where the batch held nothing else and nothing had to be changed, as they came in its tar.

The index object: one header JSON after the other, then a table (JSON), then 20 bytes: offset and
length of the table and a mark. So the headers of a run of instances are one ranged read.
The same instances in the same order give the same bytes.
"""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from struct import Struct
from types import TracebackType
from typing import Any, BinaryIO, Self

import orjson

from kit.dicom.elements import Span
from kit.dicom.frames import Frames
from kit.dicom.instance import Instance
from kit.errors import PermanentError
from kit.objects.port import Objects, ObjectWriter
from kit.saying import say
from kit.seekable import Memory, Seekable

_BLOCK = 1024 * 1024
_TAIL = Struct(">QI8s")
_MARK = b"ANTEIDX1"
_GUESS = 128 * 1024
_READ = 16 * 1024 * 1024
_MAX_TABLE = 512 * 1024 * 1024


@dataclass(frozen=True)
class PackEntry:
    """One instance. `offset` and `length` are its Part 10 file within the pack. From `offset` count:
    `dataset_offset`, `header_end` and `pixel_end` (where the pixel data element begins and what follows
    it does; both the end where there is none), `frames` and `bulk`. `sha256` is of the data set alone.
    `json` is a range of the index object."""

    position: int
    file_id: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    transfer_syntax: str
    offset: int
    length: int
    dataset_offset: int
    header_end: int
    pixel_end: int
    sha256: str
    instance_number: str
    rows: int
    columns: int
    frames: Frames
    bulk: tuple[Span, ...]
    json: Span


@dataclass(frozen=True)
class PackIndex:
    index_key: str
    study_instance_uid: str
    entries: tuple[PackEntry, ...]

    @cached_property
    def by_uid(self) -> dict[str, PackEntry]:
        """Entries by SOP Instance UID, the first of each."""
        found: dict[str, PackEntry] = {}
        for entry in self.entries:
            found.setdefault(entry.sop_instance_uid, entry)
        return found

    def header_json(self, objects: Objects, position: int) -> bytes:
        """Header of one instance in the DICOM JSON model (an object)."""
        span = self.entries[position].json
        return objects.read(self.index_key, span.offset, span.length)

    def headers(self, objects: Objects, positions: Sequence[int]) -> Iterator[bytes]:
        """Headers of several, in the order asked for; neighbours share one read."""
        start = 0
        while start < len(positions):
            first = self.entries[positions[start]].json
            end = first.offset + first.length
            stop = start + 1
            while stop < len(positions):
                span = self.entries[positions[stop]].json
                if span.offset != end or end + span.length - first.offset > _READ:
                    break
                end += span.length
                stop += 1
            data = objects.read(self.index_key, first.offset, end - first.offset)
            for position in positions[start:stop]:
                span = self.entries[position].json
                yield data[span.offset - first.offset : span.offset - first.offset + span.length]
            start = stop


class PackWriter:
    """Writes a pack and its index. Neither exists before commit(); leaving without it drops both.
    After an error in add() the pack can't be used any more."""

    def __init__(self, objects: Objects, key: str, index_key: str, *, part: str = "") -> None:
        """`part`: key of an object that holds every instance already, whole and as it is to be
        stored. It becomes the pack without being written again."""
        self._objects = objects
        self._key = key
        self._part = part
        self._data: ObjectWriter | None = None if part else objects.writer(key)
        self._index = objects.writer(index_key)
        self._index_hash = hashlib.sha256()
        self._entries: list[PackEntry] = []
        self._study = ""

    def __enter__(self) -> Self:
        if self._data is not None:
            self._data.__enter__()
        self._index.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._index.__exit__(kind, error, trace)
        if self._data is not None:
            self._data.__exit__(kind, error, trace)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, instance: Instance, file: BinaryIO, file_id: str, *, place: int = 0) -> PackEntry:
        """Copy one instance of `file` (what read_instance got), hashing it in the same pass; where a
        part becomes the pack it is only hashed, and `place` is where it begins there.

        Raises OSError or EOFError when the source can't be read to its end, NoSpace.
        """
        source = instance.source or file
        offset = place if self._data is None else self._data.tell()
        length = 0
        digest = hashlib.sha256()
        skip = instance.dataset_offset
        for block in self._blocks(instance, source):
            if skip >= len(block):
                skip -= len(block)
            else:
                digest.update(block[skip:] if skip else block)
                skip = 0
            length += len(block)
            if self._data is not None:
                self._data.write(block)
        if instance.source is not None:
            instance.source.close()
        json = Span(self._index.tell(), len(instance.json))
        self._write_index(instance.json)
        entry = PackEntry(
            position=len(self._entries),
            file_id=file_id,
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
            series_instance_uid=instance.series_instance_uid,
            transfer_syntax=instance.transfer_syntax,
            offset=offset,
            length=length,
            dataset_offset=instance.dataset_offset,
            header_end=instance.header_end,
            pixel_end=instance.pixel_end,
            sha256=digest.hexdigest(),
            instance_number=instance.instance_number,
            rows=instance.rows,
            columns=instance.columns,
            frames=instance.frames,
            bulk=instance.bulk,
            json=json,
        )
        self._study = instance.study_instance_uid
        self._entries.append(entry)
        return entry

    def commit(self) -> tuple[int, int, str]:
        """Make both durable, the index last: instances, bytes of the pack, SHA-256 of the index object."""
        table = _table(self._study, self._entries)
        start = self._index.tell()
        self._write_index(table)
        self._write_index(_TAIL.pack(start, len(table), _MARK))
        stored = self._objects.copy(self._part, self._key) if self._data is None else self._data.commit()
        self._index.commit()
        return len(self._entries), stored.size, self._index_hash.hexdigest()

    def _write_index(self, data: bytes) -> None:
        self._index.write(data)
        self._index_hash.update(data)

    def _blocks(self, instance: Instance, source: BinaryIO) -> Iterator[memoryview]:
        whole = _buffer()
        for piece in instance.pieces:
            if isinstance(piece, bytes):
                yield memoryview(piece)
                continue
            if isinstance(source, Memory):
                block = source.view[piece.offset : piece.offset + piece.length]
                if len(block) < piece.length:
                    raise EOFError("the source ended while it was copied")
                yield block
                continue
            left = piece.length
            source.seek(piece.offset)
            while left:
                count = source.readinto(whole[: min(left, _BLOCK)])  # type: ignore[attr-defined]
                if not count:
                    raise EOFError("the source ended while it was copied")
                left -= count
                yield whole[:count]


_local = threading.local()


def _buffer() -> memoryview:
    """One block a thread: a batch of many studies has many writers."""
    if not hasattr(_local, "block"):
        _local.block = memoryview(bytearray(_BLOCK))
    block: memoryview = _local.block
    return block


def _table(study: str, entries: Sequence[PackEntry]) -> bytes:
    """Rows of plain values; strings that repeat are numbers into one list."""
    words: dict[str, int] = {}

    def word(text: str) -> int:
        return words.setdefault(text, len(words))

    rows = [
        [
            entry.file_id,
            word(entry.sop_class_uid),
            entry.sop_instance_uid,
            word(entry.series_instance_uid),
            word(entry.transfer_syntax),
            entry.offset,
            entry.length,
            entry.dataset_offset,
            entry.header_end,
            entry.pixel_end,
            entry.sha256,
            entry.instance_number,
            entry.rows,
            entry.columns,
            _pack_frames(entry.frames),
            [list(span) for span in entry.bulk],
            entry.json.offset,
            entry.json.length,
        ]
        for entry in entries
    ]
    return orjson.dumps({"study": study, "words": list(words), "rows": rows})


def _pack_frames(frames: Frames) -> list[Any]:
    if not frames.fragments:
        return [frames.count, frames.offset, frames.bits]
    return [frames.count, [[part for span in frame for part in span] for frame in frames.fragments]]


def _unpack_frames(packed: list[Any]) -> Frames:
    if len(packed) == 3:
        return Frames(packed[0], packed[1], packed[2])
    return Frames(
        packed[0],
        fragments=tuple(
            tuple(Span(a, b) for a, b in zip(frame[::2], frame[1::2], strict=True)) for frame in packed[1]
        ),
    )


def read_index(objects: Objects, index_key: str) -> PackIndex:
    """Raises NotFound, and PermanentError for an object that is no index."""
    stat = objects.stat(index_key)
    size = stat.size if stat else 0
    tail = objects.read(index_key, max(size - _GUESS, 0))
    if len(tail) < _TAIL.size:
        raise PermanentError(say("pack-damaged", "the index of a pack is damaged"))
    start, length, mark = _TAIL.unpack(tail[-_TAIL.size :])
    if mark != _MARK or start + length + _TAIL.size != size or length > _MAX_TABLE:
        raise PermanentError(say("pack-damaged", "the index of a pack is damaged"))
    within = start - (size - len(tail))
    table = tail[within : within + length] if within >= 0 else objects.read(index_key, start, length)
    content = orjson.loads(table)
    words = content["words"]
    entries = tuple(
        PackEntry(
            position=position,
            file_id=row[0],
            sop_class_uid=words[row[1]],
            sop_instance_uid=row[2],
            series_instance_uid=words[row[3]],
            transfer_syntax=words[row[4]],
            offset=row[5],
            length=row[6],
            dataset_offset=row[7],
            header_end=row[8],
            pixel_end=row[9],
            sha256=row[10],
            instance_number=row[11],
            rows=row[12],
            columns=row[13],
            frames=_unpack_frames(row[14]),
            bulk=tuple(Span(a, b) for a, b in row[15]),
            json=Span(row[16], row[17]),
        )
        for position, row in enumerate(content["rows"])
    )
    return PackIndex(index_key, content["study"], entries)


def read_instance_bytes(objects: Objects, pack_key: str, entry: PackEntry) -> Iterator[bytes]:
    """The stored Part 10 file in blocks of at most 1 MiB."""
    return objects.stream(pack_key, entry.offset, entry.length)


class InstanceFile(Seekable):
    """A seekable reader over one instance within a pack; close it. Wrap it in io.BufferedReader for
    many small reads."""

    def __init__(self, objects: Objects, pack_key: str, entry: PackEntry) -> None:
        super().__init__(entry.length)
        self._file = objects.open(pack_key)
        self._start = entry.offset

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)[: max(self._size - self._position, 0)]
        self._file.seek(self._start + self._position)
        count: int = self._file.readinto(view) or 0  # type: ignore[attr-defined]
        self._position += count
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
