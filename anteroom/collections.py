"""Every collection that the loaded services, kit and the installation itself declare."""

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from anteroom import composition  # noqa: F401 - loads every service, and so declares its collections
from kit.documents.port import Collection


def collections(services: Sequence[str] | None = None) -> list[Collection[Any]]:
    """Every declared collection, or those that the named services write. What kit declares is portal's."""
    found: dict[str, Collection[Any]] = {}
    for module in [m for name, m in list(sys.modules.items()) if _writes(name, services)]:
        found |= {
            c.name: c for c in vars(module).values() if isinstance(c, Collection) and _made_in(c, module)
        }
    return [found[name] for name in sorted(found)]


def _writes(module: str, services: Sequence[str] | None) -> bool:
    parts = module.split(".")
    if parts[0] == "services" and len(parts) > 1:
        return services is None or parts[1] in services
    if parts[0] == "kit":
        return services is None or "portal" in services
    return module == "anteroom.cluster" and services is None


def _made_in(collection: Collection[Any], module: ModuleType) -> bool:
    """Not merely imported there: a collection lives beside its model, or near."""
    home: str = collection.model.__module__
    return home.split(".")[:2] == module.__name__.split(".")[:2]
