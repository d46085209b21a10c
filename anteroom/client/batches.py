"""Batches: which files travel together, and the bytes of their tar without making it anywhere.

A batch's tar is laid out beforehand from names and sizes, so its length is known and any offset of
it can be sent again; the files' own bytes go from the disk to the socket.
"""

import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from anteroom.client.files import LocalFile

BLOCK = 512
_SMALL = 8 << 20
_SHARES = 12

END = bytes(2 * BLOCK)
_NAME_FIELD, _SIZE_FIELD = 100, 8 << 30


@dataclass(frozen=True)
class Batch:
    files: tuple[LocalFile, ...]

    @property
    def ordinals(self) -> str:
        return ranges(file.ordinal for file in self.files)

    def pieces(self) -> Iterator[bytes | LocalFile]:
        """Headers, files and padding in order; the END blocks come after them."""
        for file in self.files:
            yield header(file)
            yield file
            if file.size % BLOCK:
                yield bytes(BLOCK - file.size % BLOCK)

    def size(self) -> int:
        """Of the whole tar, END blocks included."""
        return sum(member_size(file) for file in self.files) + len(END)


def header(file: LocalFile) -> bytes:
    """The member's tar header (POSIX.1-2001 pax: with an extended header for long and non-ASCII names)."""
    info = tarfile.TarInfo(f"{file.ordinal}/{file.path}")
    info.size = file.size
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "replace")


def member_size(file: LocalFile) -> int:
    """What the file takes in a tar, without making its header where that is surely one block."""
    name = f"{file.ordinal}/{file.path}"
    plain = len(name) <= _NAME_FIELD and name.isascii() and file.size < _SIZE_FIELD
    return (BLOCK if plain else len(header(file))) + (file.size + BLOCK - 1) // BLOCK * BLOCK


def plan(files: Iterable[LocalFile], batch_bytes: int, batch_files: int) -> list[Batch]:
    """In order; a batch is closed before it would exceed either limit. A larger file goes alone."""
    batches: list[Batch] = []
    open_batch: list[LocalFile] = []
    length = len(END)
    for file in files:
        size = member_size(file)
        if open_batch and (length + size > batch_bytes or len(open_batch) >= batch_files):
            batches.append(Batch(tuple(open_batch)))
            open_batch, length = [], len(END)
        open_batch.append(file)
        length += size
    if open_batch:
        batches.append(Batch(tuple(open_batch)))
    return batches


def even_share(files: Iterable[LocalFile]) -> int:
    """Bytes of a batch so that a submission has a dozen: the first ones are read while the others
    are still on their way. Never below 8 MiB, where the fixed cost of a batch would show."""
    return max(_SMALL, sum(file.size for file in files) // _SHARES)


def ranges(ordinals: Iterable[int]) -> str:
    """`0-511,600` of ascending ordinals."""
    spans: list[list[int]] = []
    for ordinal in ordinals:
        if spans and ordinal == spans[-1][1] + 1:
            spans[-1][1] = ordinal
        else:
            spans.append([ordinal, ordinal])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def parse_ranges(text: str) -> list[range]:
    spans = []
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        spans.append(range(int(low), int(high or low) + 1))
    return spans


def without(files: Sequence[LocalFile], received: str) -> list[LocalFile]:
    """Those whose ordinals are not among the received ranges."""
    there = {ordinal for span in parse_ranges(received) for ordinal in span}
    return [file for file in files if file.ordinal not in there]
