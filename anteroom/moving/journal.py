"""How far a copy had come, so that it goes on there. A hint: the comparison at the end does not trust it."""

import time
from collections.abc import Callable

_EVERY_S = 2.0


class Journal:
    """`keep` writes the content down durably; it is called now and then, and by settle()."""

    def __init__(
        self,
        content: dict[str, str] | None = None,
        keep: Callable[[dict[str, str]], None] = lambda content: None,
        every_s: float = _EVERY_S,
    ) -> None:
        self._content = dict(content or {})
        self._keep = keep
        self._every = every_s
        self._kept = time.monotonic()

    def reached(self, step: str) -> str:
        """Up to where the step was done; empty at its beginning."""
        return self._content.get(step, "")

    def note(self, step: str, where: str) -> None:
        self._content[step] = where
        if time.monotonic() - self._kept >= self._every:
            self.settle()

    def settle(self) -> None:
        self._keep(dict(self._content))
        self._kept = time.monotonic()
