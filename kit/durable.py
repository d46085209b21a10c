"""Folders whose entries survive a power cut."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make names made, changed or taken away in the folder durable (fsync(2))."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
