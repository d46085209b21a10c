"""Documents by the strings in their members list: which of two ways to them is the shorter.

A string that few documents hold leads to them, and they are sorted. One that many hold is looked for
in each document of the order asked for, which soon has met enough of them.
"""

import sqlite3
from math import prod

from kit.documents.conditions import LAST
from kit.documents.port import Has, HasPrefix

_COUNTED = 100_000


def conditions(
    connection: sqlite3.Connection, table: str, wanted: Has | HasPrefix, most: int
) -> tuple[list[str], list[str], bool]:
    """SQL conditions and their values, where `most` documents are asked for; and whether one of the
    strings leads to the documents."""
    strings = _strings(wanted)
    hits = [_hits(connection, table, matching, bounds) for matching, bounds in strings]
    lead = _lead(hits, _documents(connection, table), most)
    found: list[str] = []
    for number, (matching, _) in enumerate(strings):
        held = f"SELECT id FROM {table}_members AS held WHERE {matching}"  # noqa: S608 - names of the code
        if number == lead:
            found.append(f"id IN ({held})")
        else:
            found.append(f"EXISTS ({held} AND held.id = {table}.id)")
    return found, [bound for _, bounds in strings for bound in bounds], lead is not None


def _strings(wanted: Has | HasPrefix) -> list[tuple[str, list[str]]]:
    if isinstance(wanted, Has):
        return [("value = ?", [wanted.value])]
    return [("value >= ? AND value < ?", [value, value + LAST]) for value in wanted.values]


def _lead(hits: list[int], documents: int, most: int) -> int | None:
    """The rarest string, unless walking the order meets `most` documents sooner than it is sorted out."""
    rarest = min(hits)
    if not rarest:
        return hits.index(rarest)
    share = prod(min(1.0, count / documents) for count in hits)
    return hits.index(rarest) if rarest <= most / share else None


def _hits(connection: sqlite3.Connection, table: str, matching: str, bounds: list[str]) -> int:
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {table}_members WHERE {matching} LIMIT ?)"  # noqa: S608
    return int(connection.execute(sql, (*bounds, _COUNTED)).fetchone()[0])


def _documents(connection: sqlite3.Connection, table: str) -> int:
    """About how many there are: rows are numbered as they come."""
    return max(1, connection.execute(f"SELECT max(rowid) FROM {table}").fetchone()[0] or 0)  # noqa: S608
