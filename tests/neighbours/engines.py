"""The real engines behind the cluster adapters: used where they run, started where ANTEROOM_ENGINES=1."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.engines.__main__ import ROOT, main
from scripts.engines.install import INSTALL, Missing
from scripts.engines.run import ACCESS_KEY, SECRET_KEY, hang, ports, start, stop
from tests.neighbours.process import missing

__all__ = ["ACCESS_KEY", "SECRET_KEY", "OwnEngines", "engine"]

_OPTIONAL = "ferretdb"
"""A second opinion only: CI does without it, where it takes long to build."""


def engine(name: str) -> str:
    """host:port of the engine. Where it does not run, the test is skipped with the reason, and fails in
    CI."""
    known = ports(ROOT)
    if name not in known and os.environ.get("ANTEROOM_ENGINES") == "1":
        main(["up", name])
        known = ports(ROOT)
    if name not in known:
        reason = f"{name} is not running here: make engines ONLY={name}"
        if name == _OPTIONAL:
            pytest.skip(reason)
        missing(reason)
    return f"127.0.0.1:{known[name]}"


class OwnEngines:
    """Engines of one test alone, which it may stop: the programs of `make engines`, with data of their own.

    Each keeps its port for as long as this lives.
    """

    NAMES = ("kafka", "mongo", "s3")

    def __init__(self, folder: Path) -> None:
        self._root = folder
        self.ports: dict[str, int] = {}
        for name in self.NAMES:
            self._lend(name)

    def start(self, *names: str) -> None:
        for name in names or self.NAMES:
            self.ports[name] = start(self._root, name, self.ports.get(name))

    def stop(self, name: str, *, kill: bool = False) -> None:
        stop(self._root, name, kill=kill)

    def close(self) -> None:
        for name in self.NAMES:
            stop(self._root, name, kill=True)

    @contextmanager
    def hanging(self, name: str) -> Iterator[None]:
        hang(self._root, name, hangs=True)
        try:
            yield
        finally:
            hang(self._root, name, hangs=False)

    def _lend(self, name: str) -> None:
        """Its programs; installs them first where tests may do so."""
        installed = ROOT / name
        try:
            if os.environ.get("ANTEROOM_ENGINES") == "1":
                installed.mkdir(parents=True, exist_ok=True)
                INSTALL[name](installed)
            programs = [installed / part for part in ("lib", "bin", "classes") if (installed / part).exists()]
            if not programs:
                raise Missing(f"{name} is not installed here: make engines ONLY={name}")
        except Missing as error:
            missing(str(error))
            raise AssertionError("unreachable") from error
        own = self._root / name
        own.mkdir(parents=True)
        for program in programs:
            (own / program.name).symlink_to(program)
