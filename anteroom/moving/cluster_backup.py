"""A backup of a cluster, also while its services run: then no event is lost, but it is no single moment.

First the objects that there are, then how far every reader of the log is, the documents, the log, and the
objects once more. What a document lacks that was saved behind the reader's back comes again by its event,
for the positions are older than the documents, and the log is younger.
"""

import re
from asyncio import to_thread
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import orjson

from anteroom.moving import manifest
from anteroom.moving.cluster_side import ClusterSide, opened
from anteroom.moving.durable import sync_files, write_bytes
from anteroom.moving.embedded_backup import Done
from anteroom.moving.fingerprint import of_key
from anteroom.moving.manifest import EVENTS, KEY, LETTERS, OBJECTS, Manifest, Part, Tally, listed, part_of
from anteroom.moving.ports import Item
from anteroom.moving.progress import Progress
from anteroom.moving.trouble import MoveError
from anteroom.moving.vault import Vault
from anteroom.settings import Settings
from kit.clock import Clock
from kit.transfer import Digest, unleased

_FIRST = "objects.first.jsonl"
_KEYS = re.compile(rb'"([a-z]+/[a-z0-9._/-]+)\\\\?"')


async def back_up(
    settings: Settings,
    vault: Vault,
    key: bytes,
    *,
    with_key: bool,
    keep: int,
    clock: Clock,
    progress: Progress,
) -> Done:
    """Raises MoveError, TransientError, NoSpace, OSError: then no backup counts that did not before."""
    async with opened(settings, clock) as side:
        known = await side.fingerprint()
        if known is None:
            raise MoveError(f"Database {settings.mongo.database} holds no installation. Check the settings.")
        if known != of_key(key):
            raise MoveError(
                "The site key given is not the one of this cluster. Name its file with --key-file."
            )
        with vault.opened("cluster", known):
            now = clock()
            folder = vault.begin(now)
            progress.step("copying objects")
            _, _, copied = await to_thread(vault.take, folder / _FIRST, side.items(), progress)
            progress.step("copying documents")
            await side.note_positions()
            before = await side.ends()
            documents = await _documents(side, folder, progress)
            progress.step("copying the event log")
            events = await _events(side, folder)
            letters = await side.letters()
            _lines(folder / LETTERS, map(orjson.dumps, letters))
            progress.step("copying new objects")
            found = _twice(vault, folder, list(side.items()))
            count, size, more = await to_thread(
                vault.take, folder / OBJECTS, found, progress, folder / _FIRST
            )
            (folder / _FIRST).unlink()
            quiet = before == await side.ends()
            if with_key:
                write_bytes(folder / KEY, key.hex().encode())
            made = Manifest(
                kind="cluster",
                version=manifest.running(),
                made_at=now,
                key_fingerprint=known,
                key_included=with_key,
                parts=_parts(folder),
                objects=count,
                object_bytes=size,
                documents=documents,
                groups={group: tuple(topics) for group, topics in (await side.groups()).items()},
                events=events,
                letters=len(letters),
                quiet=quiet,
            )
            sync_files(folder)
            made.write(folder)
            stamp = vault.finish(folder)
            progress.step("removing what no backup needs any more")
            return Done(stamp, made, copied + more, vault.prune(keep))


async def _documents(side: ClusterSide, folder: Path, progress: Progress) -> dict[str, Tally]:
    (folder / "documents").mkdir(mode=0o700)
    found = {}
    for name in await side.names():
        digest = Digest()
        with (folder / manifest.documents(name)).open("wb") as file:
            async for rows in side.rows(name, ""):
                packed = [unleased(row).packed() for row in rows]
                digest.add(packed)
                file.writelines(line + b"\n" for line in packed)
                progress.advance(len(rows))
        found[name] = Tally.of(digest)
    return found


async def _events(side: ClusterSide, folder: Path) -> Tally:
    digest = Digest()
    with (folder / EVENTS).open("wb") as file:
        async for entries in side.entries():
            digest.add(entry.packed() for entry in entries)
            for entry in entries:
                line = [entry.number, entry.topic, entry.body.decode(), entry.waiting]
                file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    return Tally.of(digest)


def _twice(vault: Vault, folder: Path, now: list[Item]) -> Iterator[Item]:
    """What is there now, and what was there before the documents were read and one of them names."""
    there = {item.key for item in now}
    gone = {item.key: item for item in listed(folder / _FIRST) if item.key not in there}
    named = _named(folder, set(gone))
    again = [Item(key, gone[key].size, partial(vault.objects.open, key)) for key in named]
    yield from sorted([*now, *again], key=lambda item: item.key)


def _named(folder: Path, keys: set[str]) -> set[str]:
    found: set[str] = set()
    for path in [*(folder / "documents").iterdir(), folder / EVENTS] if keys else []:
        with path.open("rb") as file:
            for line in file:
                found.update(key for match in _KEYS.findall(line) if (key := match.decode()) in keys)
    return found


def _parts(folder: Path) -> tuple[Part, ...]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return tuple(part_of(path, path.relative_to(folder).as_posix()) for path in files)


def _lines(path: Path, lines: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(line + b"\n" for line in lines)
