"""The real engines behind the cluster adapters: used where they run, started where ANTEROOM_ENGINES=1."""

import os

import pytest

from scripts.engines.__main__ import ROOT, main
from scripts.engines.run import ACCESS_KEY, SECRET_KEY, ports

__all__ = ["ACCESS_KEY", "SECRET_KEY", "engine"]


def engine(name: str) -> str:
    """host:port of the engine. Skips the test, with the reason, where it does not run."""
    known = ports(ROOT)
    if name not in known and os.environ.get("ANTEROOM_ENGINES") == "1":
        main(["up", name])
        known = ports(ROOT)
    if name not in known:
        pytest.skip(f"{name} is not running here: make engines ONLY={name}")
    return f"127.0.0.1:{known[name]}"
