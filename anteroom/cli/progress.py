"""Shows how sending goes: a bar on a terminal, now and then a line elsewhere. On stderr, always."""

import sys
import threading
import time
from types import TracebackType
from typing import Any, Self

import click

from anteroom.cli.terminal import size

_LINE_EVERY = 5.0


class Lines:
    """Plain lines, for logs and pipes."""

    def __init__(self, total_bytes: int, total_files: int) -> None:
        self._total_bytes = total_bytes
        self._total_files = total_files
        self._bytes = 0
        self._files = 0
        self._begun = self._told = time.monotonic()
        self._lock = threading.Lock()
        self._last_reason = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def sent(self, size: int) -> None:
        with self._lock:
            self._bytes += size
            now = time.monotonic()
            if now - self._told < _LINE_EVERY:
                return
            self._told = now
        self._tell(now)

    def files_done(self, count: int) -> None:
        with self._lock:
            self._files += count

    def waiting(self, reason: str) -> None:
        if reason != self._last_reason:
            self._last_reason = reason
            click.echo(f"{reason} Trying again …", err=True)

    def checking(self, settled: int, sent: int) -> None:
        now = time.monotonic()
        if now - self._told >= _LINE_EVERY:
            self._told = now
            click.echo(f"checked {settled} of {sent} files", err=True)

    def _tell(self, now: float) -> None:
        done = min(self._bytes, self._total_bytes)
        speed = done / max(now - self._begun, 0.001)
        left = (self._total_bytes - done) / speed if speed else 0
        click.echo(
            f"sent {size(done)} of {size(self._total_bytes)}, {self._files} of {self._total_files} files, "
            f"{size(speed)}/s, about {left:.0f} s left",
            err=True,
        )


class Bar:
    """A bar that moves: bytes, files, speed, time left."""

    def __init__(self, total_bytes: int, total_files: int) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[files]} files"),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._total_files = total_files
        self._files = 0
        self._lock = threading.Lock()
        self._task = self._progress.add_task("sending", total=max(total_bytes, 1), files=f"0/{total_files}")
        self._checking: Any = None
        self._last_reason = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def sent(self, size: int) -> None:
        self._progress.advance(self._task, size)

    def files_done(self, count: int) -> None:
        with self._lock:
            self._files += count
            files = self._files
        self._progress.update(self._task, files=f"{files}/{self._total_files}")

    def waiting(self, reason: str) -> None:
        if reason != self._last_reason:
            self._last_reason = reason
            self._progress.console.print(f"{reason} Trying again …", style="yellow", markup=False)

    def checking(self, settled: int, sent: int) -> None:
        self._progress.update(self._task, description="checking", files=f"{settled}/{sent} checked")


def watcher(total_bytes: int, total_files: int, *, quiet: bool) -> Lines | Bar:
    """`quiet`: never a bar (the answer is for a program)."""
    if quiet or not sys.stderr.isatty():
        return Lines(total_bytes, total_files)
    return Bar(total_bytes, total_files)
