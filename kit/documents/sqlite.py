"""The documents port on SQLite: a table a collection, a column a declared field, the body as JSON."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from kit import acts
from kit.bus.log import append
from kit.documents import sqlite_members
from kit.documents.conditions import declared, known, member_field, plain, read_cursor, write_cursor
from kit.documents.port import Collection, D, Has, HasPrefix, In, Page, Range, Where, instant_text
from kit.documents.store import Store, Transaction
from kit.errors import VersionConflict
from schemas.envelope import Event


class SqliteDocuments:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._defined: set[str] = set()

    async def get(self, collection: Collection[D], doc_id: str) -> D | None:
        table = self._table(collection)
        row = self._store.read_now(
            lambda connection: connection.execute(
                f"SELECT version, body FROM {table} WHERE id = ?",  # noqa: S608 - names are declared in code
                (doc_id,),
            ).fetchone()
        )
        return None if row is None else _loaded(collection, row[0], row[1])

    async def save(self, collection: Collection[D], doc: D, emits: Sequence[Event] = ()) -> D:
        table = self._table(collection)
        expected = doc.version
        row = _row(collection, doc, expected + 1)
        columns = _columns(collection)
        members = _members(collection, doc)

        def operation(transaction: Transaction) -> None:
            connection = transaction.connection
            if expected == 0:
                marks = ", ".join("?" * len(columns))
                done = connection.execute(
                    f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
                    row,
                )
            else:
                sets = ", ".join(f"{column} = ?" for column in columns[1:])
                done = connection.execute(
                    f"UPDATE {table} SET {sets} WHERE id = ? AND version = ?",  # noqa: S608
                    (*row[1:], doc.id, expected),
                )
            if done.rowcount != 1:
                raise VersionConflict(collection.name, doc.id, expected)
            if members is not None:
                _save_members(connection, collection, doc.id, members)
            transaction.appended.extend(append(connection, emits))

        await self._store.write(operation)
        acts.emitted(emits)
        doc.version = expected + 1
        return doc

    async def insert_many(self, collection: Collection[D], docs: Sequence[D]) -> None:
        table = self._table(collection)
        columns = _columns(collection)
        marks = ", ".join("?" * len(columns))
        rows = [(_row(collection, doc, 1), _members(collection, doc)) for doc in docs]

        def operation(transaction: Transaction) -> None:
            for row, members in rows:
                done = transaction.connection.execute(
                    f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
                    row,
                )
                if done.rowcount == 1 and members is not None:
                    _save_members(transaction.connection, collection, str(row[0]), members)

        await self._store.write(operation)

    async def delete(self, collection: Collection[D], doc: D) -> None:
        table = self._table(collection)

        def operation(transaction: Transaction) -> None:
            connection = transaction.connection
            done = connection.execute(
                f"DELETE FROM {table} WHERE id = ? AND version = ?",  # noqa: S608
                (doc.id, doc.version),
            )
            if (
                done.rowcount == 0
                and connection.execute(
                    f"SELECT 1 FROM {table} WHERE id = ?",  # noqa: S608
                    (doc.id,),
                ).fetchone()
            ):
                raise VersionConflict(collection.name, doc.id, doc.version)
            if collection.members and done.rowcount:
                _save_members(connection, collection, doc.id, set())

        await self._store.write(operation)

    async def renew(self, collection: Collection[D], doc_id: str, owner: str, until: datetime) -> bool:
        table = self._table(collection)

        def operation(transaction: Transaction) -> bool:
            done = transaction.connection.execute(
                f"UPDATE {table} SET body = json_set(body, '$.lease_until', ?) "  # noqa: S608
                "WHERE id = ? AND json_extract(body, '$.lease_owner') = ? "
                "AND json_extract(body, '$.lease_until') NOT NULL",
                (instant_text(until), doc_id, owner),
            )
            return done.rowcount == 1

        return await self._store.write(operation)

    async def find(
        self,
        collection: Collection[D],
        where: Where | None = None,
        *,
        order: str | None = None,
        descending: bool = False,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[D]:
        table = self._table(collection)
        by = _column(collection, order) if order else "id"
        direction = "DESC" if descending else "ASC"
        sorting = f"ORDER BY {by} {direction}, id {direction}"

        def query(connection: sqlite3.Connection) -> list[Any]:
            chosen, values = _chosen(
                connection, collection, where or {}, limit, _after(cursor, by, descending)
            )
            # bodies are read of the rows that are answered, not of all that are sorted
            sql = (
                f"SELECT id, version, {by}, body FROM {table} WHERE id IN "  # noqa: S608
                f"(SELECT id {chosen} {sorting} LIMIT ?) {sorting}"
            )
            return connection.execute(sql, (*values, limit + 1)).fetchall()

        rows = await self._store.read(query)
        items = [_loaded(collection, row[1], row[3]) for row in rows[:limit]]
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(items, None if last is None else write_cursor(last[2], last[0]))

    async def project(
        self,
        collection: Collection[D],
        fields: Sequence[str],
        where: Where | None = None,
        *,
        order: str | None = None,
        descending: bool = False,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        table = self._table(collection)
        by = _column(collection, order) if order else "id"
        direction = "DESC" if descending else "ASC"
        sorting = f"ORDER BY {by} {direction}, id {direction}"
        kept = [known(collection, name) for name in fields if name != "id"]
        parts = ", ".join(f"json_extract(body, '$.{name}')" for name in kept)

        def query(connection: sqlite3.Connection) -> list[Any]:
            chosen, values = _chosen(connection, collection, where or {}, limit)
            sql = (
                f"SELECT id, json_array({parts}) FROM {table} WHERE id IN "  # noqa: S608
                f"(SELECT id {chosen} {sorting} LIMIT ?) {sorting}"
            )
            return connection.execute(sql, (*values, limit)).fetchall()

        return [
            {"id": doc_id, **dict(zip(kept, orjson.loads(text), strict=True))}
            for doc_id, text in await self._store.read(query)
        ]

    async def count(self, collection: Collection[D], where: Where | None = None, *, cap: int = 10_000) -> int:
        self._table(collection)

        def query(connection: sqlite3.Connection) -> int:
            chosen, values = _chosen(connection, collection, where or {}, cap)
            sql = f"SELECT count(*) FROM (SELECT 1 {chosen} LIMIT ?)"  # noqa: S608
            return int(connection.execute(sql, (*values, cap)).fetchone()[0])

        return await self._store.read(query)

    def _table(self, collection: Collection[D]) -> str:
        table = _table_name(collection)
        if collection.name not in self._defined:
            _define(self._store, collection, table)
            self._defined.add(collection.name)
        return table


def _define(store: Store, collection: Collection[Any], table: str) -> None:
    """Create the table, its columns and indexes; add and fill columns declared since."""
    store.define(
        f"CREATE TABLE IF NOT EXISTS {table} "
        "(id TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL)"
    )
    present = {
        row[1] for row in store.read_now(lambda c: c.execute(f"PRAGMA table_info({table})").fetchall())
    }
    statements = []
    for name in collection.fields:
        column = _column(collection, name)
        if column not in present:
            statements.append(f"ALTER TABLE {table} ADD COLUMN {column}")
            statements.append(f"UPDATE {table} SET {column} = json_extract(body, '$.{name}')")  # noqa: S608
    for names in _indexes(collection):
        columns = ", ".join(_column(collection, name) for name in names)
        statements.append(f"CREATE INDEX IF NOT EXISTS {_index_name(table, names)} ON {table} ({columns})")
    if collection.members:
        statements.append(
            f"CREATE TABLE IF NOT EXISTS {table}_members (value TEXT NOT NULL, id TEXT NOT NULL, "
            "PRIMARY KEY (value, id)) WITHOUT ROWID"
        )
        if present and not _exists(store, f"{table}_members"):
            statements.append(
                f"INSERT OR IGNORE INTO {table}_members (value, id) SELECT member.value, {table}.id "  # noqa: S608
                f"FROM {table}, json_each({table}.body, '$.{collection.members}') AS member"
            )
        statements.append(f"CREATE INDEX IF NOT EXISTS {table}_members_id ON {table}_members (id)")
    wanted = {_index_name(table, names) for names in _indexes(collection)}
    for name in _own_indexes(store, table) - wanted - {f"{table}_members_id"}:
        statements.append(f"DROP INDEX {name}")
    store.define(";\n".join(statements))


def _own_indexes(store: Store, table: str) -> set[str]:
    """Names of the indexes that were made here, also those of earlier versions."""
    sql = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
    return {row[0] for row in store.read_now(lambda c: c.execute(sql, (table,)).fetchall())}


def _index_name(table: str, fields: Sequence[str]) -> str:
    return f"{table}__{'__'.join(fields)}"


def _indexes(collection: Collection[Any]) -> list[tuple[str, ...]]:
    """Fields of each index. What a query may test besides stands in it too, so that the rows themselves,
    with their bodies, are read of the documents that are answered alone."""
    first = {names[0] for names in collection.compound}
    wanted = [*((name,) for name in collection.fields if name not in first), *collection.compound]
    whole = [("id", *collection.fields)] if collection.members else []
    return whole + [
        (*names, "id", *(name for name in collection.fields if name not in names)) for names in wanted
    ]


def _exists(store: Store, table: str) -> bool:
    sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return store.read_now(lambda c: c.execute(sql, (table,)).fetchone()) is not None


def _table_name(collection: Collection[Any]) -> str:
    return "d_" + collection.name.replace("-", "_")


def _column(collection: Collection[Any], name: str) -> str:
    return "id" if declared(collection, name) == "id" else f"f_{name}"


def _columns(collection: Collection[Any]) -> list[str]:
    return ["id", "version", "body", *(f"f_{name}" for name in collection.fields)]


def _row(collection: Collection[D], doc: D, version: int) -> tuple[Any, ...]:
    fields = (plain(getattr(doc, name)) for name in collection.fields)
    return (doc.id, version, doc.model_dump_json(), *fields)


def _loaded(collection: Collection[D], version: int, body: str) -> D:
    doc = collection.model.model_validate_json(body)
    doc.version = version
    return doc


def _members(collection: Collection[D], doc: D) -> set[str] | None:
    return set(getattr(doc, collection.members)) if collection.members else None


def _save_members(
    connection: sqlite3.Connection, collection: Collection[Any], doc_id: str, members: set[str]
) -> None:
    table = f"{_table_name(collection)}_members"
    present = {row[0] for row in connection.execute(f"SELECT value FROM {table} WHERE id = ?", (doc_id,))}  # noqa: S608
    connection.executemany(
        f"DELETE FROM {table} WHERE value = ? AND id = ?",  # noqa: S608
        [(value, doc_id) for value in present - members],
    )
    connection.executemany(
        f"INSERT INTO {table} (value, id) VALUES (?, ?)",  # noqa: S608
        [(value, doc_id) for value in members - present],
    )


def _chosen(
    connection: sqlite3.Connection,
    collection: Collection[Any],
    where: Where,
    most: int,
    beyond: tuple[str, list[Any]] | None = None,
) -> tuple[str, list[Any]]:
    """FROM and WHERE of `most` documents that meet the conditions, and behind a cursor; with its values."""
    source = table = _table_name(collection)
    conditions: list[str] = []
    values: list[Any] = []
    for name, wanted in where.items():
        if isinstance(wanted, Has | HasPrefix):
            member_field(collection, name)
            texts, bounds, leads = sqlite_members.conditions(connection, table, wanted, most)
            conditions.extend(texts)
            values.extend(bounds)
            source = (
                f"{table} INDEXED BY {table}__{'__'.join(('id', *collection.fields))}" if leads else table
            )
        else:
            text, given = _condition(_column(collection, name), wanted)
            conditions.append(text)
            values.extend(given)
    if beyond is not None:
        conditions.append(beyond[0])
        values.extend(beyond[1])
    return f"FROM {source} WHERE {' AND '.join(conditions) or '1'}", values


def _condition(column: str, wanted: Any) -> tuple[str, list[Any]]:
    if wanted is None:
        return f"{column} IS NULL", []
    if isinstance(wanted, In):
        marks = ", ".join("?" * len(wanted.values))
        return f"{column} IN ({marks})", [plain(value) for value in wanted.values]
    if isinstance(wanted, Range):
        bounds = [
            (sign, bound) for sign, bound in ((">=", wanted.low), ("<", wanted.high)) if bound is not None
        ]
        return (
            " AND ".join(f"{column} {sign} ?" for sign, _ in bounds) or f"{column} IS NOT NULL",
            [plain(bound) for _, bound in bounds],
        )
    return f"{column} = ?", [plain(wanted)]


def _after(cursor: str | None, by: str, descending: bool) -> tuple[str, list[Any]] | None:
    """The rows behind a cursor; None without one. SQLite sorts NULL before everything.

    Raises Refused for a made-up cursor."""
    if cursor is None:
        return None
    value, doc_id = read_cursor(cursor)
    sign = "<" if descending else ">"
    if by == "id":
        return f"id {sign} ?", [doc_id]
    if value is None and descending:
        return f"({by} IS NULL AND id < ?)", [doc_id]
    if value is None:
        return f"(({by} IS NULL AND id > ?) OR {by} IS NOT NULL)", [doc_id]
    rest = f" OR {by} IS NULL" if descending else ""
    return f"(({by}, id) {sign} (?, ?){rest})", [value, doc_id]
