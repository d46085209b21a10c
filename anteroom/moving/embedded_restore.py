"""A backup of a data folder becomes a data folder again. It can be started only once all is there."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from anteroom.moving import marks
from anteroom.moving.backups import Backup
from anteroom.moving.durable import LOST_AND_FOUND, alone, read_json, write_bytes
from anteroom.moving.embedded_backup import SPOOL, counted
from anteroom.moving.fingerprint import of_key, read_key
from anteroom.moving.manifest import DATABASE, KEY, HashingReader, Manifest, part_of
from anteroom.moving.progress import Progress
from anteroom.moving.trouble import MoveError
from kit.documents.sqlite_rows import SqliteRows
from kit.durable import sync
from kit.objects.files import FileObjects

_OURS = (LOST_AND_FOUND, marks.RESTORING, f"{marks.RESTORING}.new", "lock")
_BEFORE = ".before-restore"


@dataclass(frozen=True)
class Restored:
    manifest: Manifest
    copied: int
    differences: tuple[str, ...]


def restore(backup: Backup, data: Path, key_file: Path | None, *, over: bool, progress: Progress) -> Restored:
    """The backup was checked. Going on after a break is the same call. Raises MoveError, NoSpace, OSError."""
    made = backup.manifest
    if made.kind != "embedded":
        raise MoveError("This is the backup of a cluster: restore it into one with --to cluster.toml.")
    _check_key(made, key_file)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone(data / "lock", f"The data folder {data} is in use by an Anteroom. Stop it first."):
        mark: dict[str, object] = {"backup": backup.seal, "made_at": made.made_at.isoformat()}
        if read_json(data / marks.RESTORING) != mark:
            _make_room(data, over=over)
            marks.put(data, marks.RESTORING, mark)
        copied = _copy_objects(backup, data, progress)
        for part in made.parts:
            if part.name.startswith(f"{SPOOL}/"):
                _copy(backup.folder / part.name, data / SPOOL / "upload" / Path(part.name).name)
        if made.key_included and key_file is None:
            write_bytes(data / KEY, (backup.folder / KEY).read_bytes())
        progress.step("copying the database")
        _copy(backup.folder / DATABASE, data / DATABASE)
        progress.step("verifying")
        differences = tuple(_differences(backup, data, progress))
        if not differences:
            marks.take_away(data, marks.RESTORING)
    return Restored(made, copied, differences)


def _check_key(made: Manifest, key_file: Path | None) -> None:
    if key_file is not None and of_key(read_key(key_file)) != made.key_fingerprint:
        raise MoveError(
            f"{key_file} is not the site key of this backup. Give --key-file the one it was made with."
        )
    if key_file is None and not made.key_included:
        raise MoveError(
            "The site key lay outside the data and is not in this backup. Name its file with --key-file: "
            "without it second factors can't be read and studies that come again get other ids."
        )


def _make_room(data: Path, *, over: bool) -> None:
    """Raises MoveError for a folder that holds anything, unless `over`: then it is put aside within it."""
    there = [path for path in data.iterdir() if path.name not in _OURS and not path.name.startswith(_BEFORE)]
    if not there:
        return
    if not over:
        raise MoveError(
            f"{data} is not empty. Give --data a new folder; or --over, which puts what is there aside."
        )
    number = 1
    while (aside := data / f"{_BEFORE}-{number}").exists():
        number += 1
    aside.mkdir(mode=0o700)
    for path in there:
        path.rename(aside / path.name)
    sync(aside)
    sync(data)


def _copy_objects(backup: Backup, data: Path, progress: Progress) -> int:
    """Those that are not there yet. What is there was hashed when it was written."""
    progress.step("copying objects", backup.manifest.objects)
    place = FileObjects(data / "objects")
    place.discard_unfinished()
    copied = 0
    for item, opener in backup.objects():
        there = place.stat(item.key)
        if there is None or there.size != item.size:
            with opener() as file:
                reader = HashingReader(file)
                place.upload(item.key, cast(BinaryIO, reader), item.size)
            if reader.hexdigest() != item.sha256:
                place.delete(item.key)
                raise MoveError(
                    f"The backup is damaged: an object of {item.size:,} bytes is not what it was. "
                    "Use another backup, into another folder."
                )
            copied += 1
        progress.advance(1, item.size)
    return copied


def _copy(source: Path, target: Path) -> None:
    """Whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = target.with_name(target.name + ".new")
    shutil.copyfile(source, temporary)
    sync(temporary)
    temporary.rename(target)
    sync(target.parent)


def _differences(backup: Backup, data: Path, progress: Progress) -> Iterator[str]:
    made = backup.manifest
    count = size = 0
    for stat in FileObjects(data / "objects").list(""):
        count, size = count + 1, size + stat.size
    if (count, size) != (made.objects, made.object_bytes):
        saved = f"{made.objects:,} with {made.object_bytes:,} bytes"
        yield f"objects: {saved} were saved, {count:,} with {size:,} are there"
    database = next(part for part in made.parts if part.name == DATABASE)
    if part_of(data / DATABASE, DATABASE) != database:
        yield "the database is not what was saved"
        return
    rows = SqliteRows(data / DATABASE, finished=True)
    try:
        if not rows.sound():
            yield "the database is damaged"
        documents, _, events, _ = counted(rows, progress)
    finally:
        rows.close()
    for name in sorted({*documents, *made.documents}):
        if documents.get(name) != made.documents.get(name):
            yield f"documents of {name} are not what was saved"
    if events != made.events:
        yield "the event log is not what was saved"
