"""The SQLite file of an installation as a whole: a consistent copy of it, and its rows and log as stored."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from kit.bus.log import ALL_PARTITIONS
from kit.documents.port import Collection
from kit.durable import sync
from kit.errors import NoSpace, PermanentError, TransientError
from kit.transfer import Entry, Row
from schemas.catalogue import TOPICS

_ROWS = 100
_PAGES = 2048


def snapshot(source: Path, target: Path, told: Callable[[int, int], None] = lambda done, total: None) -> None:
    """Copy the database as it is at one moment, while its owner goes on writing; durable on return.

    `told` hears of pages done and in all. Raises NoSpace, TransientError.
    """
    try:
        with closing(sqlite3.connect(source, isolation_level=None, timeout=30)) as origin:
            # one read transaction for the whole copy: without it every write would start it anew
            origin.execute("BEGIN")
            origin.execute("SELECT count(*) FROM sqlite_master").fetchone()
            with closing(sqlite3.connect(target, isolation_level=None)) as copy:
                origin.backup(
                    copy, pages=_PAGES, progress=lambda _, left, total: told(total - left, total), sleep=0
                )
            origin.execute("ROLLBACK")
    except sqlite3.Error as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise NoSpace("The disk that the copy is written to is full.") from error
        raise TransientError(f"database: {error.sqlite_errorname}") from error
    sync(target)


class SqliteRows:
    """Reads a database that nobody writes. `finished`: a snapshot, which may lie on a read-only medium;
    otherwise what the last owner left in its journal counts too. Raises PermanentError for a file that
    is no database."""

    def __init__(self, path: Path, *, finished: bool) -> None:
        mode = "mode=ro&immutable=1" if finished else "mode=rw"
        try:
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?{mode}", uri=True, check_same_thread=False
            )
            self._tables = {
                name
                for (name,) in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
        except sqlite3.Error as error:
            raise PermanentError(f"{path.name} is no database of Anteroom, or is damaged") from error

    def close(self) -> None:
        self._connection.close()

    def sound(self) -> bool:
        """Whether SQLite finds the file in order."""
        try:
            return bool(self._connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        except sqlite3.Error:
            return False

    def names(self, declared: Sequence[Collection[Any]]) -> list[str]:
        """Collections that hold at least one document. Raises PermanentError when this version of
        Anteroom does not know one of them."""
        known = {_table(collection.name): collection.name for collection in declared}
        found = []
        for table in sorted(self._tables):
            if not table.startswith("d_") or table.endswith("_members"):
                continue
            if self._connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is None:  # noqa: S608
                continue
            if table not in known:
                raise PermanentError(f"the collection {table[2:]} is unknown to this version of Anteroom")
            found.append(known[table])
        return found

    def scan(self, name: str, after: str = "") -> Iterator[list[Row]]:
        """The documents behind that id, by id, a hundred at a time."""
        sql = f"SELECT id, version, body FROM {_table(name)} WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608
        while found := self._connection.execute(sql, (after, _ROWS)).fetchall():
            yield [Row(doc_id, version, orjson.loads(body)) for doc_id, version, body in found]
            after = found[-1][0]

    def groups(self) -> dict[str, list[str]]:
        """The topics that each group has a position in."""
        found: dict[str, list[str]] = {}
        for group, topic in self._all(
            "SELECT DISTINCT consumer, topic FROM offsets ORDER BY 1, 2", "offsets"
        ):
            found.setdefault(group, []).append(topic)
        return found

    def entries(self) -> Iterator[list[Entry]]:
        """The log in its order, with the groups that have not handled an event yet."""
        offsets: dict[str, dict[str, dict[int, int]]] = {}
        for group, topic, partition, seq in self._all(
            "SELECT consumer, topic, partition, seq FROM offsets", "offsets"
        ):
            offsets.setdefault(topic, {}).setdefault(group, {})[partition] = seq
        sql = "SELECT seq, topic, partition, body FROM log WHERE seq > ? ORDER BY seq LIMIT 1000"
        after = 0
        while "log" in self._tables and (found := self._connection.execute(sql, (after,)).fetchall()):
            yield [
                Entry(seq, topic, bytes(body), _waiting(offsets.get(topic, {}), partition, seq))
                for seq, topic, partition, body in found
                if topic in TOPICS
            ]
            after = found[-1][0]

    def letters(self) -> list[dict[str, Any]]:
        """Dead letters, with the fields of kit.bus.letters.Letter."""
        names = ("id", "group", "topic", "event_id", "body", "reason", "attempts", "time", "replaying")
        sql = (
            "SELECT id, consumer, topic, event_id, CAST(body AS TEXT), reason, attempts, time, replaying "
            "FROM dead_letters ORDER BY id"
        )
        return [dict(zip(names, row, strict=True)) for row in self._all(sql, "dead_letters")]

    def _all(self, sql: str, table: str) -> list[Any]:
        return self._connection.execute(sql).fetchall() if table in self._tables else []


def _waiting(groups: dict[str, dict[int, int]], partition: int, seq: int) -> tuple[str, ...]:
    return tuple(
        group
        for group, done in sorted(groups.items())
        if seq > max(done.get(ALL_PARTITIONS, 0), done.get(partition, 0))
    )


def _table(name: str) -> str:
    return "d_" + name.replace("-", "_")
