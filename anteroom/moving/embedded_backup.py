"""A backup of a data folder, also while its server runs: what a crash at one moment would have left.

First nothing is deleted any more (kit.hold), then the database is copied as it is at one moment, then the
spool and the objects: what the copy refers to is there, or put aside. What came in the seconds after that
moment may be among the objects too; nobody refers to it, as after a crash.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from anteroom.collections import collections
from anteroom.moving import manifest
from anteroom.moving.durable import sync_files, write_bytes
from anteroom.moving.fingerprint import of_key, read_key
from anteroom.moving.manifest import DATABASE, KEY, Manifest, Tally, part_of
from anteroom.moving.ports import Item
from anteroom.moving.progress import Progress
from anteroom.moving.tarred import TarVault
from anteroom.moving.trouble import MoveError
from anteroom.moving.vault import Vault
from kit.clock import Clock
from kit.documents.sqlite_rows import SqliteRows, snapshot
from kit.hold import hold
from kit.objects.files import FileObjects
from kit.objects.port import ObjectStat
from kit.transfer import Digest

SPOOL = "spool"


@dataclass(frozen=True)
class Done:
    stamp: str
    manifest: Manifest
    copied: int
    removed: int


def back_up(
    data: Path, vault: Vault | TarVault, key_file: Path | None, keep: int, clock: Clock, progress: Progress
) -> Done:
    """Raises MoveError, AlreadyHeld, NoSpace, TransientError, OSError: then no backup counts that did not
    before."""
    database = data / DATABASE
    if not database.exists():
        raise MoveError(f"{data} is no data folder of Anteroom: there is no {DATABASE}. Name it with --data.")
    key = read_key(key_file or data / KEY)
    spool = data / "spool" / "upload"
    spool.mkdir(parents=True, exist_ok=True)
    (data / "objects").mkdir(exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(vault.opened("embedded", of_key(key)))
        objects_aside = stack.enter_context(hold(data / "objects"))
        spool_aside = stack.enter_context(hold(spool))
        now = clock()
        folder = vault.begin(now)
        progress.step("copying the database")
        snapshot(database, folder / DATABASE)
        parts = [part_of(folder / DATABASE, DATABASE)]
        parts += [
            part_of(path, f"{SPOOL}/{path.name}") for path in _spool(spool, spool_aside, folder / SPOOL)
        ]
        if key_file is None:
            write_bytes(folder / KEY, (data / KEY).read_bytes())
            parts.append(part_of(folder / KEY, KEY))
        progress.step("counting documents and events")
        rows = SqliteRows(folder / DATABASE, finished=True)
        try:
            documents, groups, events, letters = counted(rows, progress)
        finally:
            rows.close()
        progress.step("copying objects")
        count, size, copied = vault.take(
            folder / manifest.OBJECTS, _items(data / "objects", objects_aside), progress
        )
        parts.append(part_of(folder / manifest.OBJECTS, manifest.OBJECTS))
        sync_files(folder)
        made = Manifest(
            kind="embedded",
            version=manifest.running(),
            made_at=now,
            key_fingerprint=of_key(key),
            key_included=key_file is None,
            parts=tuple(parts),
            objects=count,
            object_bytes=size,
            documents=documents,
            groups=groups,
            events=events,
            letters=letters,
        )
        made.write(folder)
        stamp = vault.finish(folder)
    progress.step("removing what no backup needs any more")
    return Done(stamp, made, copied, vault.prune(keep))


def counted(
    rows: SqliteRows, progress: Progress
) -> tuple[dict[str, Tally], dict[str, tuple[str, ...]], Tally, int]:
    """Documents by collection, positions' topics by group, the event log, and how many dead letters."""
    documents = {}
    for name in rows.names(collections()):
        digest = Digest()
        for found in rows.scan(name):
            digest.add(row.packed() for row in found)
            progress.advance(len(found))
        documents[name] = Tally.of(digest)
    events = Digest()
    for entries in rows.entries():
        events.add(entry.packed() for entry in entries)
        progress.advance(len(entries))
    groups = {group: tuple(topics) for group, topics in rows.groups().items()}
    return documents, groups, Tally.of(events), len(rows.letters())


def _spool(spool: Path, aside: Path, target: Path) -> list[Path]:
    """Batches in the making. One that is stored meanwhile leaves its record: a start then registers the
    object, or finds that it was."""
    target.mkdir(mode=0o700)
    records = {path.name for place in (spool, aside) for path in place.glob("*.json")}
    copied = []
    for name in sorted(records):
        # the record first: where it is, its tar is there, or is an object by now
        copied += _copy_first([spool / name, aside / name], target)
        copied += _copy_first([(spool / name).with_suffix(".tar")], target)
    return copied


def _copy_first(sources: Sequence[Path], target: Path) -> list[Path]:
    """Copies the first that is there."""
    for source in sources:
        with suppress(FileNotFoundError):
            return [Path(shutil.copyfile(source, target / source.name))]
    return []


def _items(folder: Path, aside: Path) -> Iterator[Item]:
    """What is there or put aside, by key."""
    place = FileObjects(folder)
    found = {stat.key: stat for stat in place.list("")}
    for path in (path for path in aside.rglob("*") if path.is_file()):
        key = path.relative_to(aside).as_posix()
        found.setdefault(key, ObjectStat(key, path.stat().st_size))
    for key in sorted(found):
        yield Item(key, found[key].size, partial(_open, folder / key, aside / key))


def _open(path: Path, aside: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return aside.open("rb")
