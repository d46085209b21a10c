"""Small files that are whole or absent, and folders that are synced."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from anteroom.moving.trouble import MoveError
from kit.durable import sync

LOST_AND_FOUND = "lost+found"
"""What an empty volume of its own may hold."""


def write_json(path: Path, content: object) -> None:
    write_bytes(path, orjson.dumps(content, option=orjson.OPT_INDENT_2))


def write_bytes(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    sync(path.parent)


def read_json(path: Path) -> dict[str, Any] | None:
    """None when it is not there or can't be read."""
    try:
        found = orjson.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def sync_files(folder: Path) -> None:
    """Make every file below durable; folders are synced by who gives them their name."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        sync(path)


@contextmanager
def alone(path: Path, otherwise: str) -> Iterator[IO[str]]:
    """Hold a lock on the file. Raises MoveError with that sentence when another process has it."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MoveError(otherwise) from error
        yield lock
