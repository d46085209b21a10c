"""What survives a power cut."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Make a file's bytes durable, or the names made, changed or taken away in a folder (fsync(2))."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
