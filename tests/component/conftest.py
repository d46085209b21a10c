"""For every test of a service: the queries it makes are served by declared indexes."""

from collections.abc import Iterator
from typing import Any

import pytest

from kit.documents.served import served
from kit.documents.sqlite import SqliteDocuments
from services.validate import tasks
from tests.component.validate.fragile import reads


@pytest.fixture(autouse=True)
def only_served_queries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A million studies later, a query without its index is an outage; here it fails a test."""
    unserved: list[str] = []

    def watch(name: str) -> None:
        original = getattr(SqliteDocuments, name)

        async def watched(self: SqliteDocuments, collection: Any, *given: Any, **more: Any) -> Any:
            where = more.get("where") or next((part for part in given if isinstance(part, dict)), {})
            if not served(collection, where, more.get("order")):
                kinds = {field: type(wanted).__name__ for field, wanted in where.items()}
                unserved.append(f"{collection.name}: {kinds} ordered by {more.get('order')}")
            return await original(self, collection, *given, **more)

        monkeypatch.setattr(SqliteDocuments, name, watched)

    for name in ("find", "project", "count"):
        watch(name)
    yield
    assert unserved == []


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some contents break the reader (tests.component.validate.fragile)."""
    monkeypatch.setattr(tasks, "read_batch", reads)
