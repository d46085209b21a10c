"""Asking the kernel to begin writing a file's pages to the disk, without waiting (Linux)."""

import ctypes
import sys

_WRITE = 2
"""SYNC_FILE_RANGE_WRITE of sync_file_range(2)."""


def start_writing(descriptor: int, offset: int, length: int) -> None:
    """A hint alone: whatever comes of it, only a sync makes bytes durable."""
    if _call is not None:
        _call(descriptor, ctypes.c_int64(offset), ctypes.c_int64(length), _WRITE)


_call = None
if sys.platform == "linux":
    _call = getattr(ctypes.CDLL(None), "sync_file_range", None)
