"""A data folder that nobody serves, as something to copy from."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from anteroom.collections import collections
from anteroom.moving.manifest import DATABASE
from anteroom.moving.ports import Item
from kit.documents.sqlite_rows import SqliteRows
from kit.objects.files import FileObjects
from kit.transfer import Entry, Row


class EmbeddedSource:
    one_by_one = False

    def __init__(self, data: Path) -> None:
        self._rows = SqliteRows(data / DATABASE, finished=False)
        self._objects = FileObjects(data / "objects")

    def close(self) -> None:
        self._rows.close()

    async def names(self) -> list[str]:
        return self._rows.names(collections())

    async def rows(self, name: str, after: str) -> AsyncIterator[list[Row]]:
        for found in self._rows.scan(name, after):
            yield found

    async def groups(self) -> dict[str, list[str]]:
        return self._rows.groups()

    async def entries(self) -> AsyncIterator[list[Entry]]:
        for found in self._rows.entries():
            yield found

    async def letters(self) -> list[dict[str, Any]]:
        return self._rows.letters()

    def items(self) -> Iterator[Item]:
        for stat in self._objects.list(""):
            yield Item(stat.key, stat.size, partial(self._objects.open, stat.key))
