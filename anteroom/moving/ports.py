"""What can be copied from, and what can be copied into: an installation as its bare content."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from kit.objects.port import Objects
from kit.transfer import Entry, Row

Opener = Callable[[], BinaryIO]


@dataclass(frozen=True)
class Item:
    """An object to copy. `sha256` is empty where only reading it will tell."""

    key: str
    size: int
    open: Opener
    sha256: str = ""


class Source(Protocol):
    """Nobody changes it while it is copied. Reading raises TransientError, PermanentError, OSError."""

    one_by_one: bool
    """Whether an object can be opened only before the next one is asked for."""

    async def names(self) -> list[str]:
        """Collections that hold anything."""
        ...

    def rows(self, name: str, after: str) -> AsyncIterator[list[Row]]:
        """Documents in the order of their ids, behind that one."""
        ...

    async def groups(self) -> dict[str, list[str]]:
        """Readers of the log, and the topics of each."""
        ...

    def entries(self) -> AsyncIterator[list[Entry]]:
        """The log; entries of one key in their order."""
        ...

    async def letters(self) -> list[dict[str, Any]]:
        """Dead letters, with the fields of kit.bus.letters.Letter."""
        ...

    def items(self) -> Iterator[Item]:
        """All objects by key."""
        ...


class Target(Protocol):
    """Writing is durable on return, and writing again what is there changes nothing."""

    @property
    def objects(self) -> Objects: ...

    async def names(self) -> list[str]: ...

    async def insert(self, name: str, rows: Sequence[Row]) -> None: ...

    def rows(self, name: str, after: str) -> AsyncIterator[list[Row]]: ...

    async def append(self, entries: AsyncIterator[list[Entry]]) -> None:
        """Those that are not there yet."""
        ...

    def written(self) -> AsyncIterator[list[Entry]]:
        """What append wrote, each once."""
        ...

    async def set_positions(
        self, groups: Mapping[str, Sequence[str]], waiting: Mapping[str, set[int]]
    ) -> None:
        """Let each group go on with the first entry of each partition that waits for it."""
        ...

    async def bury(self, letters: Sequence[dict[str, Any]]) -> None: ...

    async def letters(self) -> list[dict[str, Any]]: ...
