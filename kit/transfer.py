"""What is carried from one installation to another: documents as they are stored, and events of the log."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

_MODULUS = 1 << 256


@dataclass(frozen=True)
class Row:
    """A stored document. `pending` are events of its last saves that the bus may not have yet."""

    id: str
    version: int
    body: dict[str, Any]
    pending: tuple[dict[str, str], ...] = ()

    def packed(self) -> bytes:
        """The same bytes for the same document, whatever stored it (one line)."""
        content = [self.id, self.version, self.body, list(self.pending)]
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


@dataclass(frozen=True)
class Entry:
    """An event of the log. `number` counts from 1 in the order of the source; `waiting` are the groups
    that have not handled it yet."""

    number: int
    topic: str
    body: bytes
    waiting: tuple[str, ...] = ()

    def packed(self) -> bytes:
        return orjson.dumps([self.number, self.topic, self.body.decode()])


@dataclass
class Digest:
    """A hash of a set of items, in whatever order they come: it finds accidents, not forgers.

    Each item's SHA-256 is added up modulo 2^256, so that an item twice, or missing, shows.
    """

    count: int = 0
    total: int = field(default=0, repr=False)

    def add(self, items: Iterable[bytes]) -> None:
        for item in items:
            self.count += 1
            self.total = (self.total + int.from_bytes(hashlib.sha256(item).digest())) % _MODULUS

    @property
    def text(self) -> str:
        return f"{self.total:064x}"


def unleased(row: Row) -> Row:
    """The document without the lease of a task runner that no longer exists where it goes."""
    if not row.body.get("lease_until"):
        return row
    return Row(row.id, row.version, {**row.body, "lease_until": None, "lease_owner": ""}, row.pending)
