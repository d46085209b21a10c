"""Copies a whole installation, and compares afterwards. Every step can be repeated; what is there stays.

Nothing is held in memory but a hundred documents, a thousand events, and a block of each object under way;
and the numbers of events that a group has not handled.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from anteroom.moving.journal import Journal
from anteroom.moving.manifest import Tally
from anteroom.moving.objects_copying import compare_objects, copy_objects
from anteroom.moving.ports import Source, Target
from anteroom.moving.progress import Progress
from kit.transfer import Digest, Entry, unleased


@dataclass
class Outcome:
    documents: dict[str, Tally] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    events: Tally = field(default_factory=lambda: Tally.of(Digest()))
    letters: int = 0
    objects: int = 0
    object_bytes: int = 0
    copied: int = 0
    differences: list[str] = field(default_factory=list)


async def copy_all(source: Source, target: Target, journal: Journal, progress: Progress) -> Outcome:
    """Raises what the two sides raise; then call it again. The outcome tells what differs, if anything."""
    outcome = Outcome()
    await _documents(source, target, journal, progress)
    await _log(source, target, progress)
    progress.step("copying objects")
    outcome.copied = await asyncio.to_thread(copy_objects, source, target.objects, progress)
    journal.settle()
    await _compare(source, target, outcome, journal, progress)
    journal.settle()
    return outcome


async def _documents(source: Source, target: Target, journal: Journal, progress: Progress) -> None:
    progress.step("copying documents")
    for name in await source.names():
        step = f"documents {name}"
        async for rows in source.rows(name, journal.reached(step)):
            await target.insert(name, [unleased(row) for row in rows])
            journal.note(step, rows[-1].id)
            progress.advance(len(rows))
    journal.settle()


async def _log(source: Source, target: Target, progress: Progress) -> None:
    progress.step("copying the event log")
    groups = await source.groups()
    waiting: dict[str, set[int]] = {group: set() for group in groups}

    async def noted() -> AsyncIterator[list[Entry]]:
        async for entries in source.entries():
            for entry in entries:
                for group in entry.waiting:
                    waiting[group].add(entry.number)
            yield entries
            progress.advance(len(entries))

    await target.append(noted())
    await target.set_positions(groups, waiting)
    await target.bury(await source.letters())


async def _compare(
    source: Source, target: Target, outcome: Outcome, journal: Journal, progress: Progress
) -> None:
    progress.step("comparing documents")
    names = await source.names()
    for name in names:
        outcome.documents[name] = await _tally(source, name, progress)
        if await _tally(target, name, progress) != outcome.documents[name]:
            outcome.differences.append(f"documents of {name} are not the same")
    for name in await target.names():
        if name not in names:
            outcome.differences.append(f"there are documents of {name}, of which the source has none")
    progress.step("comparing the event log")
    outcome.groups = {group: tuple(topics) for group, topics in (await source.groups()).items()}
    outcome.events = await _tally_of(source.entries())
    if await _tally_of(target.written()) != outcome.events:
        outcome.differences.append("the event logs are not the same")
    letters = sorted(str(letter["id"]) for letter in await source.letters())
    outcome.letters = len(letters)
    if sorted(str(letter["id"]) for letter in await target.letters()) != letters:
        outcome.differences.append("the dead letters are not the same")
    progress.step("comparing objects")
    count, size, wrong = await asyncio.to_thread(compare_objects, source, target.objects, journal, progress)
    outcome.objects, outcome.object_bytes = count, size
    if wrong:
        outcome.differences.append(f"{wrong:,} objects were not the same and were removed: run it again")
    there = await asyncio.to_thread(_count, target.objects.list(""))
    if there != count - wrong:
        outcome.differences.append(
            f"there are {there - count + wrong:,} objects that the source does not have"
        )


async def _tally(side: Source | Target, name: str, progress: Progress) -> Tally:
    digest = Digest()
    async for rows in side.rows(name, ""):
        digest.add(unleased(row).packed() for row in rows)
        progress.advance(len(rows))
    return Tally.of(digest)


async def _tally_of(log: AsyncIterator[list[Entry]]) -> Tally:
    digest = Digest()
    async for entries in log:
        digest.add(entry.packed() for entry in entries)
    return Tally.of(digest)


def _count(found: Iterator[object]) -> int:
    return sum(1 for _ in found)
