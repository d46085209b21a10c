"""How far a move is: told in steps, at most every few seconds. Only counts and sizes, never names."""

import time
from collections.abc import Callable


class Progress:
    """`say` gets whole lines."""

    def __init__(self, say: Callable[[str], None], every_s: float = 5.0) -> None:
        self._say = say
        self._every = every_s
        self._what = ""
        self._total: int | None = None
        self._count = 0
        self._bytes = 0
        self._told = 0.0

    def step(self, what: str, total: int | None = None) -> None:
        self._what, self._total, self._count, self._bytes = what, total, 0, 0
        self._told = time.monotonic()
        self._say(f"{what} …")

    def advance(self, count: int = 1, size: int = 0) -> None:
        self._count += count
        self._bytes += size
        now = time.monotonic()
        if now - self._told >= self._every:
            self._told = now
            of = "" if self._total is None else f" of {self._total:,}"
            moved = f", {self._bytes / 1e6:,.0f} MB" if self._bytes else ""
            self._say(f"{self._what}: {self._count:,}{of}{moved}")


def silent() -> Progress:
    return Progress(lambda line: None)
