"""A hold on a folder: while a backup reads it, what would be deleted there is put aside instead.

The holder is another process than the deleter. It keeps a lock on `.hold`, which ends with it however it
ends. That file names the folder below `.held` where things lie under the same relative names meanwhile.
"""

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from kit.errors import AnteroomError

_LOCK = ".hold"
_ASIDE = ".held"
_TRIES = 50
_AGAIN_S = 0.02


class AlreadyHeld(AnteroomError):
    """Another process holds the folder."""


@contextmanager
def hold(folder: Path) -> Iterator[Path]:
    """Nothing goes from the folder until the block ends. Gives where things are put aside meanwhile.
    Raises AlreadyHeld."""
    with (folder / _LOCK).open("a+") as lock:
        _lock(lock)
        shutil.rmtree(folder / _ASIDE, ignore_errors=True)
        aside = folder / _ASIDE / secrets.token_hex(6)
        aside.mkdir(mode=0o700, parents=True)
        lock.truncate(0)
        lock.write(aside.name)
        lock.flush()
        try:
            yield aside
        finally:
            # who looks from here on deletes; who put something aside before did so before this goes
            fcntl.flock(lock, fcntl.LOCK_UN)
            shutil.rmtree(aside, ignore_errors=True)


def remove(folder: Path, path: Path) -> None:
    """Delete a file below the folder, or put it aside while the folder is held. Absent is no error."""
    aside = _held(folder)
    if aside is not None:
        target = aside / path.relative_to(folder)
        with suppress(FileNotFoundError):
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        if _held(folder) != aside:
            target.unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def forget_aside(folder: Path) -> None:
    """At a start: what a hold that ended with its process left put aside."""
    if _held(folder) is None:
        shutil.rmtree(folder / _ASIDE, ignore_errors=True)


def _held(folder: Path) -> Path | None:
    """Where to put things aside, while a living process holds the folder."""
    try:
        handle = os.open(folder / _LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return folder / _ASIDE / os.read(handle, 100).decode()
    finally:
        os.close(handle)
    return None


def _lock(file: IO[str]) -> None:
    """Deleters who look share the lock for a moment: that is no other holder."""
    for _ in range(_TRIES):
        with suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(_AGAIN_S)
    raise AlreadyHeld("Another backup of this data folder is running. Wait for its end.")
