"""What an object key may look like, for both adapters."""

import re

_KEY = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")


def checked(key: str) -> str:
    """Returns the key. Raises ValueError for one the program should never have made."""
    if len(key) > 512 or not _KEY.fullmatch(key):
        raise ValueError("not an object key")
    return key
