"""The files of a batch: its tar opened, its members named and held against what was announced."""

import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from kit.archives import ArchiveError
from kit.archives.parts import window
from kit.archives.tar import headers
from kit.seekable import Memory

IN_MEMORY = 8 * 1024 * 1024
_NAME = re.compile(r"(\d{1,9})(?:/(.*))?", re.DOTALL)
_PATH_MAX = 500
_BETWEEN_MAX = 4096
"""Padding, an extended header with a long path, the member's own header."""
_END_MAX = 512 + 10_240
"""Padding, and the zeros that fill a tar's last record (POSIX.1-2017 pax, blocking)."""


@dataclass(frozen=True)
class BatchMember:
    """`index` is its place in the tar, `number` its ordinal or its number within the archive."""

    index: int
    number: int
    path: str
    offset: int
    size: int

    def open(self, tar: BinaryIO) -> BinaryIO:
        """A seekable reader of this member alone: in memory where it is small."""
        if isinstance(tar, Memory):
            return cast(BinaryIO, tar.window(self.offset, self.size))
        if self.size <= IN_MEMORY:
            tar.seek(self.offset)
            return io.BytesIO(tar.read(self.size))
        return window(tar, [(self.offset, self.size)])


@dataclass
class BatchMembers:
    """`entries` counts what the tar holds. `damaged`: it breaks off. `not_files` counts links and devices,
    `unannounced` members that the sender did not list or listed under a number already used."""

    members: list[BatchMember]
    entries: int = 0
    damaged: bool = False
    not_files: int = 0
    unannounced: int = 0


def read_members(tar: BinaryIO, size: int, ordinals: Sequence[int] | None) -> BatchMembers:
    """A browser's tar is hostile: only whole regular files under an announced number count."""
    found = BatchMembers([])
    announced = None if ordinals is None else set(ordinals)
    seen: set[int] = set()
    try:
        for index, header in enumerate(headers(tar)):
            found.entries += 1
            if header.kind == "folder":
                continue
            if header.kind != "file":
                found.not_files += 1
                continue
            match = _NAME.fullmatch(header.name)
            number = int(match[1]) if match else -1
            if match is None or number in seen or (announced is not None and number not in announced):
                found.unannounced += 1
                continue
            if header.offset + header.size > size:
                found.damaged = True
                break
            seen.add(number)
            found.members.append(
                BatchMember(index, number, shown(match[2] or ""), header.offset, header.size)
            )
    except ArchiveError:
        found.damaged = True
    return found


def holds_nothing_else(found: BatchMembers, tar: BinaryIO, size: int) -> bool:
    """Whether a batch of `size` bytes is its members with their headers between them, and an end: no
    other entry, no room between members for more than headers, and nothing but zeros behind them."""
    if found.damaged or found.entries != len(found.members):
        return False
    end = 0
    for member in found.members:
        if member.offset - end > _BETWEEN_MAX:
            return False
        end = member.offset + member.size
    if size - end > _END_MAX:
        return False
    tar.seek(end)
    return not any(tar.read(size - end))


def missing(found: BatchMembers, ordinals: Sequence[int] | None) -> Iterator[int]:
    """Announced, but not in the tar; each number once."""
    present = {member.number for member in found.members}
    for number in dict.fromkeys(ordinals or ()):
        if number not in present:
            yield number


def shown(path: str) -> str:
    """A path as text to show: composed, without control characters, its end where it is very long."""
    text = unicodedata.normalize("NFC", path.replace("\\", "/"))
    text = "".join("�" if unicodedata.category(char) in ("Cc", "Cs", "Cf") else char for char in text)
    return text if len(text) <= _PATH_MAX else "…" + text[-_PATH_MAX:]
