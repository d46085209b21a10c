"""What reports and queries prove (PS3.4 J.3.3, C.4.1)."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import NamedTuple

from kit.ids import derived_id

NO_SUCH_INSTANCE = 0x0112
CLASS_CONFLICT = 0x0119
_LOST = (NO_SUCH_INSTANCE, CLASS_CONFLICT)
"""Failure reasons that say the instance is not there; others say only that it can't be committed."""


def transaction_uid(delivery_id: str, *attempt: object) -> str:
    """A UID derived from an UUID (PS3.5 B.2)."""
    return f"2.25.{int(derived_id('transaction', delivery_id, *map(str, attempt)), 16)}"


@dataclass(frozen=True)
class Verdict:
    """Sets of SOP Instance UIDs; what is in none of them is still open."""

    proven: frozenset[str]
    lost: frozenset[str]


def by_reports(open_uids: Set[str], reports: Iterable[tuple[Iterable[str], Mapping[str, int]]]) -> Verdict:
    """Reports are (committed, failed with reason). Only UIDs of this delivery count."""
    proven: set[str] = set()
    lost: set[str] = set()
    for committed, failed in reports:
        proven |= open_uids & set(committed)
        lost |= {uid for uid, reason in failed.items() if reason in _LOST} & open_uids
    return Verdict(frozenset(proven - lost), frozenset(lost))


class Filed(NamedTuple):
    """Under what a destination files an instance; an empty text: it does not say."""

    patient_id: str = ""
    accession_number: str = ""

    def agrees(self, said: "Filed") -> bool:
        """Whether nothing that was said contradicts this. An empty text of this is not compared."""
        return all(
            not mine or not theirs or mine.strip() == theirs.strip()
            for mine, theirs in zip(self, said, strict=True)
        )


@dataclass(frozen=True)
class Looked:
    """What a query says of instances that were sent."""

    present: frozenset[str]
    elsewhere: frozenset[str]
    """There, but only under another identity than was sent."""
    absent: frozenset[str]
    twice: frozenset[str]
    """Of those present: there under another identity as well."""


def by_query(open_uids: Set[str], found: Mapping[str, Set[Filed]], expected: Filed) -> Looked:
    there = {uid: found[uid] for uid in open_uids if found.get(uid)}
    present = {uid for uid, filed in there.items() if any(expected.agrees(said) for said in filed)}
    return Looked(
        present=frozenset(present),
        elsewhere=frozenset(there.keys() - present),
        absent=frozenset(open_uids - there.keys()),
        twice=frozenset(uid for uid in present if not all(expected.agrees(said) for said in there[uid])),
    )
