"""Objects from one store into another, some at a time, and read back on both sides. It blocks."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, TypeVar, cast

from anteroom.moving.journal import Journal
from anteroom.moving.manifest import HashingReader
from anteroom.moving.ports import Item, Source
from anteroom.moving.progress import Progress
from anteroom.moving.trouble import MoveError
from kit.errors import NotFound
from kit.objects.port import Objects

_AT_ONCE = 4
_BLOCK = 1 << 20
R = TypeVar("R")


def copy_objects(source: Source, target: Objects, progress: Progress) -> int:
    """Copy what is not there in its size. Returns how many were copied."""

    def copy(item: Item) -> bool:
        found = target.stat(item.key)
        if found is not None and found.size == item.size:
            return False
        with item.open() as file:
            reader = HashingReader(file)
            target.upload(item.key, cast(BinaryIO, reader), item.size)
        if reader.size != item.size or item.sha256 not in ("", reader.hexdigest()):
            target.delete(item.key)
            raise MoveError(
                f"An object of {item.size:,} bytes is damaged where it comes from. Check that disk."
            )
        return True

    copied = 0
    for item, new in _side_by_side(copy, source.items(), 1 if source.one_by_one else _AT_ONCE):
        copied += new
        progress.advance(1, item.size)
    return copied


def compare_objects(
    source: Source, target: Objects, journal: Journal, progress: Progress
) -> tuple[int, int, int]:
    """Returns how many objects there are, their bytes, and how many were not the same: those are removed, so
    that the next copy brings them again."""

    def same(item: Item) -> bool:
        if item.key <= reached:
            return True
        try:
            good = _hash(target.stream(item.key)) == (item.sha256 or _hash(_blocks(item)))
        except NotFound:
            return False
        if not good:
            target.delete(item.key)
        return good

    reached = journal.reached("objects")
    count = size = wrong = 0
    for item, good in _side_by_side(same, source.items(), 1 if source.one_by_one else _AT_ONCE):
        count, size, wrong = count + 1, size + item.size, wrong + (not good)
        if not wrong:
            journal.note("objects", item.key)
        progress.advance(1, item.size)
    return count, size, wrong


def _side_by_side(work: Callable[[Item], R], items: Iterable[Item], at_once: int) -> Iterator[tuple[Item, R]]:
    """Outcomes in the order of the items; what one raises ends it."""
    if at_once == 1:
        for item in items:
            yield item, work(item)
        return
    with ThreadPoolExecutor(at_once, thread_name_prefix="objects") as pool:
        waiting: deque[tuple[Item, Future[R]]] = deque()
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) >= 2 * at_once:
                first, outcome = waiting.popleft()
                yield first, outcome.result()
        for first, outcome in waiting:
            yield first, outcome.result()


def _blocks(item: Item) -> Iterator[bytes]:
    with item.open() as file:
        while block := file.read(_BLOCK):
            yield block


def _hash(blocks: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for block in blocks:
        found.update(block)
    return found.hexdigest()
