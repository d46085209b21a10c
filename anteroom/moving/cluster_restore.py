"""The backup of a cluster goes into an empty one, as a move does: copied, compared, then released."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson

from anteroom.moving.backups import Backup
from anteroom.moving.cluster_side import opened
from anteroom.moving.copying import copy_all
from anteroom.moving.fingerprint import of_key, read_key
from anteroom.moving.journal import Journal
from anteroom.moving.manifest import EVENTS, KEY, LETTERS, documents
from anteroom.moving.migrate import bring_key, check_key, key_place
from anteroom.moving.ports import Item
from anteroom.moving.progress import Progress
from anteroom.moving.trouble import MoveError
from anteroom.settings import Settings
from kit.clock import Clock
from kit.transfer import Entry, Row

_AT_ONCE = 100


class BackupSource:
    """A cluster's backup, as something to copy from."""

    def __init__(self, backup: Backup) -> None:
        self._backup = backup
        self.one_by_one = backup.one_by_one

    async def names(self) -> list[str]:
        return sorted(self._backup.manifest.documents)

    async def rows(self, name: str, after: str) -> AsyncIterator[list[Row]]:
        for lines in _lines(self._backup.folder / documents(name)):
            rows = [Row(line[0], line[1], line[2], tuple(line[3])) for line in lines if line[0] > after]
            if rows:
                yield rows

    async def groups(self) -> dict[str, list[str]]:
        return {group: list(topics) for group, topics in self._backup.manifest.groups.items()}

    async def entries(self) -> AsyncIterator[list[Entry]]:
        for lines in _lines(self._backup.folder / EVENTS):
            yield [Entry(line[0], line[1], line[2].encode(), tuple(line[3])) for line in lines]

    async def letters(self) -> list[dict[str, Any]]:
        return [line for lines in _lines(self._backup.folder / LETTERS) for line in lines]

    def items(self) -> Iterator[Item]:
        for item, opener in self._backup.objects():
            yield Item(item.key, item.size, opener, item.sha256)


async def restore(
    backup: Backup, cluster: Settings, key_file: Path | None, clock: Clock, progress: Progress
) -> list[str]:
    """What differs afterwards. Going on after a break is the same call. Raises MoveError, TransientError."""
    made = backup.manifest
    if made.kind != "cluster":
        raise MoveError(
            "This is the backup of one machine: restore it with --data, then move it with `anteroom migrate`."
        )
    key = _key(backup, cluster, key_file)
    check_key(cluster, key)
    moving = f"restore-{backup.seal}"
    async with opened(cluster, clock) as target:
        await target.reach()
        if await target.take(moving, made.key_fingerprint) == "ended":
            raise MoveError("This backup was restored into this cluster before.")
        outcome = await copy_all(BackupSource(backup), target, Journal(), progress)
        if not outcome.differences:
            bring_key(cluster, key)
            await target.release(moving)
        return outcome.differences


def _key(backup: Backup, cluster: Settings, key_file: Path | None) -> bytes:
    if key_file is not None:
        place = key_file
    elif backup.manifest.key_included:
        place = backup.folder / KEY
    else:
        place = key_place(cluster)
    key = read_key(place)
    if of_key(key) != backup.manifest.key_fingerprint:
        raise MoveError(f"{place} is not the site key of this backup. Name its file with --key-file.")
    return key


def _lines(path: Path) -> Iterator[list[Any]]:
    """Parsed lines, a hundred at a time."""
    with path.open("rb") as file:
        found: list[Any] = []
        for line in file:
            found.append(orjson.loads(line))
            if len(found) >= _AT_ONCE:
                yield found
                found = []
        if found:
            yield found
