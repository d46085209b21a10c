"""Copying goes on after a break at any call, ends with the same content, and tells what differs."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from anteroom.moving.copying import copy_all
from anteroom.moving.embedded_side import EmbeddedSource
from anteroom.moving.journal import Journal
from anteroom.moving.progress import silent
from kit.errors import TransientError
from kit.objects.files import FileObjects
from kit.transfer import Digest, Entry, Row, unleased
from tests.unit.moving.house import GROUP, furnish


class Target:
    """In memory, with objects in files. Breaks at the call `breaks_at`, before or after its effect."""

    def __init__(self, folder: Path) -> None:
        self.objects = FileObjects(folder)
        self.documents: dict[str, dict[str, Row]] = {}
        self.log: list[Entry] = []
        self.positions: dict[str, set[int]] = {}
        self.dead: dict[str, dict[str, Any]] = {}
        self.calls = 0
        self.breaks_at = 0

    def _called(self) -> None:
        self.calls += 1
        if self.calls == self.breaks_at:
            raise TransientError("gone")

    async def names(self) -> list[str]:
        self._called()
        return sorted(self.documents)

    async def insert(self, name: str, rows: Sequence[Row]) -> None:
        self._called()
        self.documents.setdefault(name, {}).update({row.id: row for row in rows})
        self._called()

    async def rows(self, name: str, after: str) -> AsyncIterator[list[Row]]:
        self._called()
        yield [row for key, row in sorted(self.documents.get(name, {}).items()) if key > after]

    async def append(self, entries: AsyncIterator[list[Entry]]) -> None:
        self._called()
        async for found in entries:
            for entry in found:
                if entry.number > (self.log[-1].number if self.log else 0):
                    self.log.append(entry)
                self._called()

    async def written(self) -> AsyncIterator[list[Entry]]:
        self._called()
        yield self.log

    async def set_positions(
        self, groups: Mapping[str, Sequence[str]], waiting: Mapping[str, set[int]]
    ) -> None:
        self._called()
        self.positions = {group: set(waiting[group]) for group in groups}
        self._called()

    async def bury(self, letters: Sequence[dict[str, Any]]) -> None:
        self._called()
        self.dead |= {letter["id"]: letter for letter in letters}

    async def letters(self) -> list[dict[str, Any]]:
        self._called()
        return list(self.dead.values())


@pytest.fixture
async def source(tmp_path: Path):
    await furnish(tmp_path / "data")
    side = EmbeddedSource(tmp_path / "data")
    yield side
    side.close()


async def test_it_goes_on_from_any_break(source: EmbeddedSource, tmp_path: Path) -> None:
    whole = Target(tmp_path / "whole")
    assert (await copy_all(source, whole, Journal(), silent())).differences == []
    assert len(whole.positions[GROUP]) == 2
    assert [entry.number for entry in whole.log] == [1, 2, 3, 4, 5]
    assert whole.calls > 15
    for breaks_at in range(1, whole.calls + 1):
        target = Target(tmp_path / f"objects-{breaks_at}")
        target.breaks_at = breaks_at
        kept: dict[str, str] = {}
        with pytest.raises(TransientError):
            await copy_all(source, target, Journal(kept, kept.update, every_s=0), silent())
        outcome = await copy_all(source, target, Journal(kept, kept.update), silent())
        assert outcome.differences == []
        assert (target.documents, target.log, target.positions) == (
            whole.documents,
            whole.log,
            whole.positions,
        )


async def test_what_is_not_the_same_is_told(source: EmbeddedSource, tmp_path: Path) -> None:
    target = Target(tmp_path / "objects")
    await copy_all(source, target, Journal(), silent())
    row = target.documents["accounts"]["a0003"]
    done = Journal({"documents accounts": "z"})
    target.documents["accounts"]["a0003"] = Row(row.id, row.version + 1, row.body)
    target.documents["strangers"] = {"x": Row("x", 1, {})}
    target.log.pop()
    target.dead["x"] = {"id": "x"}
    target.objects.put("studies/s1/p001.dcm", [b"\7" * 1001])
    target.objects.put("studies/more", [b""])
    target.append = _nothing  # type: ignore[method-assign]
    outcome = await copy_all(source, target, done, silent())
    assert len(outcome.differences) == 6
    again = await copy_all(source, target, done, silent())
    assert not any("were not the same" in line for line in again.differences), "it was copied anew"


async def _nothing(entries: AsyncIterator[list[Entry]]) -> None:
    async for _ in entries:
        pass


def test_the_digest_knows_neither_order_nor_mercy() -> None:
    one, two, three = Digest(), Digest(), Digest()
    one.add([b"a", b"b", b"c"])
    two.add([b"c", b"a", b"b"])
    three.add([b"a", b"b", b"c", b"c"])
    assert one.text == two.text != three.text


def test_a_task_runner_that_is_gone_holds_no_lease() -> None:
    row = Row("a", 3, {"lease_until": "2026-01-01T00:00:00.000000Z", "lease_owner": "x", "due_at": "y"})
    assert unleased(row).body == {"lease_until": None, "lease_owner": "", "due_at": "y"}
    assert unleased(Row("a", 3, {"due_at": "y"})).body == {"due_at": "y"}
