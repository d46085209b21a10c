"""What SQLite documents do beside the contract: changes of tables, and two ways to members."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from kit.documents import sqlite_members
from kit.documents.port import Collection, Doc, Has, HasPrefix, In
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


async def test_indexes_of_an_earlier_version_go(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db")
    await SqliteDocuments(store).save(NOTES, Thing(id="1", colour="red", tags=["a"]))
    before = _indexes(store)
    store.define("CREATE INDEX d_notes__old ON d_notes (version)")
    await SqliteDocuments(store).save(NOTES, Thing(id="2"))
    assert _indexes(store) == before
    assert "d_notes_members_id" in before
    await store.close()


def _indexes(store: Store) -> set[str]:
    rows = store.read_now(
        lambda c: c.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall()
    )
    return {name for (name,) in rows}


async def test_a_change_of_tables_happens_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db")
    with pytest.raises(sqlite3.OperationalError, match="absent"):
        store.define("CREATE TABLE one (id TEXT); INSERT INTO absent VALUES (1)")
    names = store.read_now(lambda c: c.execute("SELECT name FROM sqlite_master").fetchall())
    assert ("one",) not in names
    await store.close()


NOTES = Collection("notes", Thing, fields=("colour",), compound=(("colour",),), members="tags")


@pytest.mark.parametrize("guessed", [1, 12, 1_000_000])
async def test_documents_are_found_by_their_members_however_common_these_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guessed: int
) -> None:
    monkeypatch.setattr(sqlite_members, "_documents", lambda connection, table: guessed)
    store = Store(tmp_path / "a.db")
    documents = SqliteDocuments(store)
    for number in range(12):
        tags = ["all", f"tag{number % 4}", f"tag{number % 4}b"]
        await documents.save(NOTES, Thing(id=f"{number:02}", colour=("red", "blue")[number % 2], tags=tags))

    async def ids(where: dict[str, object], **more: Any) -> list[str]:
        found: list[str] = []
        cursor = None
        while True:
            page = await documents.find(NOTES, where, limit=2, cursor=cursor, **more)
            found += [doc.id for doc in page.items]
            cursor = page.cursor
            if cursor is None:
                return found

    assert await ids({"tags": Has("tag1")}) == ["01", "05", "09"]
    assert await ids({"tags": HasPrefix("tag1")}, descending=True) == ["09", "05", "01"]
    assert await ids({"tags": HasPrefix("tag"), "colour": "red"}) == ["00", "02", "04", "06", "08", "10"]
    assert await ids({"tags": HasPrefix("tag")}, order="colour") == [
        *("01", "03", "05", "07", "09", "11"),
        *("00", "02", "04", "06", "08", "10"),
    ]
    assert await ids({"tags": HasPrefix("all", "tag1")}, order="colour") == ["01", "05", "09"]
    assert await ids({"tags": HasPrefix("tag1", "tag2")}) == []
    assert await ids({"tags": Has("nobody")}) == []
    assert await documents.count(NOTES, {"tags": HasPrefix("tag2")}) == 3
    assert await documents.count(NOTES, {"tags": Has("all"), "colour": In(["red"])}, cap=4) == 4
    rows = await documents.project(NOTES, ["colour"], {"tags": HasPrefix("tag3")}, descending=True, limit=2)
    assert rows == [{"id": "11", "colour": "blue"}, {"id": "07", "colour": "blue"}]
    await store.close()
