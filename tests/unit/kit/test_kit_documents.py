"""What SQLite documents do when a later version declares more of a collection."""

import sqlite3
from pathlib import Path

import pytest

from kit.documents.port import Collection, Doc, Has
from kit.documents.sqlite import SqliteDocuments
from kit.documents.store import Store


class Thing(Doc):
    colour: str = ""
    tags: list[str] = []


async def test_fields_and_members_declared_later_find_what_was_saved_before(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db")
    await SqliteDocuments(store).save(Collection("things", Thing), Thing(id="1", colour="red", tags=["a"]))
    later = Collection("things", Thing, fields=("colour",), members="tags")
    documents = SqliteDocuments(store)
    assert [doc.id for doc in (await documents.find(later, {"colour": "red"})).items] == ["1"]
    assert [doc.id for doc in (await documents.find(later, {"tags": Has("a")})).items] == ["1"]
    await store.close()


async def test_a_change_of_tables_happens_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db")
    with pytest.raises(sqlite3.OperationalError, match="absent"):
        store.define("CREATE TABLE one (id TEXT); INSERT INTO absent VALUES (1)")
    names = store.read_now(lambda c: c.execute("SELECT name FROM sqlite_master").fetchall())
    assert ("one",) not in names
    await store.close()
