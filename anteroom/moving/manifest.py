"""What a backup says of itself, and its list of objects: enough to know that it is whole before using it."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from anteroom.moving.durable import write_bytes
from anteroom.moving.trouble import MoveError
from kit.transfer import Digest

FORMAT = 1
NAME = "manifest.json"
OBJECTS = "objects.jsonl"
EVENTS = "events.jsonl"
LETTERS = "letters.jsonl"
DATABASE = "anteroom.db"
KEY = "site.key"
_BLOCK = 1 << 20


def documents(collection: str) -> str:
    """Where the documents of a collection are, beside the manifest."""
    return f"documents/{collection}.jsonl"


class Tally(BaseModel):
    model_config = ConfigDict(frozen=True)
    count: int
    digest: str

    @classmethod
    def of(cls, digest: Digest) -> "Tally":
        return cls(count=digest.count, digest=digest.text)


class Part(BaseModel):
    """A file beside the manifest."""

    model_config = ConfigDict(frozen=True)
    name: str
    size: int
    sha256: str


class Manifest(BaseModel):
    model_config = ConfigDict(frozen=True)
    format: int = FORMAT
    kind: Literal["embedded", "cluster"]
    version: str
    """Of the Anteroom that made it."""
    made_at: datetime
    key_fingerprint: str
    key_included: bool
    parts: tuple[Part, ...]
    objects: int
    object_bytes: int
    documents: dict[str, Tally]
    groups: dict[str, tuple[str, ...]]
    events: Tally
    letters: int
    quiet: bool = True
    """Nothing was published or handled while it was made: it is one moment."""

    def write(self, folder: Path) -> None:
        content = orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_INDENT_2)
        seal = hashlib.sha256(content).hexdigest()
        write_bytes(folder / NAME, orjson.dumps({"sha256": seal, "manifest": content.decode()}))


def read(folder: Path) -> tuple[Manifest, str]:
    """The manifest, and its own hash. Raises MoveError for one that is damaged or of a newer version."""
    try:
        outer = orjson.loads((folder / NAME).read_bytes())
        content = outer["manifest"].encode()
        seal = hashlib.sha256(content).hexdigest()
        fields = orjson.loads(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MoveError(f"The manifest in {folder} is damaged. Use another backup.") from error
    except FileNotFoundError as error:
        raise MoveError(f"{folder} holds no finished backup: there is no {NAME}.") from error
    if seal != outer.get("sha256"):
        raise MoveError(f"The manifest in {folder} is damaged. Use another backup.")
    if fields.get("format", 0) > FORMAT or _newer(str(fields.get("version", "0"))):
        raise MoveError(
            f"This backup was made by Anteroom {fields.get('version')}, this is {running()}. "
            "Restore it with that version or a later one."
        )
    try:
        return Manifest.model_validate(fields), seal
    except ValidationError as error:
        raise MoveError(f"The manifest in {folder} is damaged. Use another backup.") from error


def running() -> str:
    return version("anteroom")


def _newer(other: str) -> bool:
    return _numbers(other) > _numbers(running())


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(".") if part.isdigit()]


@dataclass(frozen=True)
class Listed:
    key: str
    size: int
    sha256: str

    def line(self) -> bytes:
        return orjson.dumps([self.key, self.size, self.sha256], option=orjson.OPT_APPEND_NEWLINE)


def listed(path: Path) -> Iterator[Listed]:
    """The objects of a backup in key order."""
    with path.open("rb") as file:
        for line in file:
            yield Listed(*orjson.loads(line))


def part_of(path: Path, name: str) -> Part:
    with path.open("rb") as file:
        reader = HashingReader(file)
        while reader.read(_BLOCK):
            pass
    return Part(name=name, size=reader.size, sha256=reader.hexdigest())


def checked_parts(folder: Path, parts: Iterable[Part]) -> None:
    """Raises MoveError unless every part is there as it was written."""
    for part in parts:
        path = folder / part.name
        if not path.is_file() or part_of(path, part.name) != part:
            raise MoveError(f"The backup is damaged: {part.name} is missing or changed. Use another one.")


class HashingReader:
    """Reads on, and knows the SHA-256 of what was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self._hash.update(block)
        self.size += len(block)
        return block

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
