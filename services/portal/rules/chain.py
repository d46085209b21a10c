"""The chain over the audit trail: every entry holds the hash of the one before it. Pure.

The hashes are keyed with the installation's secret, so that whoever can write the store but does not have
the secret can't make a chain that fits.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

import orjson

from kit.documents.port import instant_text
from services.portal.models import AuditEntry

BEGIN = "0" * 64
"""What the first entry holds."""


@dataclass(frozen=True)
class Head:
    """The end of a chain, or of a part of it."""

    seq: int = 0
    hash: str = BEGIN


@dataclass(frozen=True)
class Broken:
    """Where the chain does not hold, and what is wrong there."""

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
    said = [
        entry.seq, entry.previous, entry.ref, instant_text(entry.time), entry.account_id, entry.account,
        entry.action, entry.kind, entry.object_id, entry.detail,
    ]  # fmt: skip
    own = hmac.new(key, b"audit", sha256).digest()
    return hmac.new(own, orjson.dumps(said), sha256).hexdigest()


def check(key: bytes, head: Head, entries: Iterable[AuditEntry]) -> Head | Broken:
    """The end of these entries, which come after the head in their order; or where it is wrong first."""
    for entry in entries:
        if entry.seq != head.seq + 1 or entry.id != entry_id(head.seq + 1):
            return Broken(head.seq + 1, "missing")
        if entry.previous != head.hash:
            return Broken(entry.seq, "out of place")
        if not hmac.compare_digest(entry.hash, digest(key, entry)):
            return Broken(entry.seq, "changed")
        head = Head(entry.seq, entry.hash)
    return head
