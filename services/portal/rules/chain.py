"""The chain over the audit trail: every entry holds the hash of the one before it. Pure.

The hashes are keyed with the installation's secret, so that whoever can write the store but does not have
the secret can't make a chain that fits.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from kit.documents.port import instant_text
from services.portal.models import AuditEntry

BEGIN = "0" * 64
"""What the first entry holds."""
BEGUN = "chain-begun"
"""The action of the first entry where there were older ones: it holds how many, and a hash over them."""


@dataclass(frozen=True)
class Head:
    """The end of a chain, or of a part of it."""

    seq: int = 0
    hash: str = BEGIN


@dataclass(frozen=True)
class Older:
    """The entries of a version that had no chain yet: how many, and a hash over all of them."""

    count: int = 0
    hash: str = BEGIN


@dataclass(frozen=True)
class Broken:
    """Where the chain does not hold, and what is wrong there. `seq` is 0 where that is no entry of it.

    missing, out of place, changed   the entry of this number
    older                            the entries from before the chain are not those it began with
    foreign                          there are entries besides, which nobody entered here
    """

    seq: int
    reason: str


def entry_id(seq: int) -> str:
    """Ids are unique in the store: of all who append the same number, one succeeds."""
    return f"{seq:012d}"


def link(key: bytes, head: Head, entry: AuditEntry) -> None:
    """Make the entry the one after the head."""
    entry.seq, entry.previous = head.seq + 1, head.hash
    entry.id = entry_id(entry.seq)
    entry.hash = digest(key, entry)


def digest(key: bytes, entry: AuditEntry) -> str:
    """Over everything the entry says, its place and the hash before it."""
    said: list[Any] = [
        entry.seq, entry.previous, entry.ref, instant_text(entry.time), entry.account_id, entry.account,
        entry.action, entry.kind, entry.object_id, entry.detail,
    ]  # fmt: skip
    if entry.code:
        said += [entry.code, sorted(entry.values.items())]
    return _keyed(key, said)


def _keyed(key: bytes, said: list[Any]) -> str:
    own = hmac.new(key, b"audit", sha256).digest()
    return hmac.new(own, orjson.dumps(said), sha256).hexdigest()


def with_older(key: bytes, older: Older, entries: Iterable[AuditEntry]) -> Older:
    """These too, which come after those before in the order of their ids."""
    for entry in entries:
        older = Older(older.count + 1, _keyed(key, [older.hash, entry.id, digest(key, entry)]))
    return older


def beginning(older: Older, time: datetime) -> AuditEntry:
    """The first entry of a chain that begins behind older entries."""
    return AuditEntry(
        id="", time=time, account_id="policy:audit", account="", action=BEGUN, kind="audit", object_id="",
        detail=f"{older.count}:{older.hash}",
    )  # fmt: skip


def begun_with(first: AuditEntry | None) -> Older:
    """The older entries that the first one of the chain tells of."""
    if first is None or first.action != BEGUN:
        return Older()
    count, _, mark = first.detail.partition(":")
    return Older(int(count) if count.isdecimal() else 0, mark)


def check(key: bytes, head: Head, entries: Iterable[AuditEntry]) -> Head | Broken:
    """The end of these entries, which come after the head in their order; or where it is wrong first."""
    for entry in entries:
        number = head.seq + 1
        if entry.seq is None or entry.seq > number:
            return Broken(number, "missing")
        if entry.seq < number or entry.id != entry_id(number) or entry.previous != head.hash:
            return Broken(number, "out of place")
        if not hmac.compare_digest(entry.hash.encode(), digest(key, entry).encode()):
            return Broken(entry.seq, "changed")
        head = Head(entry.seq, entry.hash)
    return head
