"""The site key by its fingerprint: whether two installations are one, without telling the key."""

import hashlib
from pathlib import Path

from anteroom.moving.trouble import MoveError


def of_key(key: bytes) -> str:
    return hashlib.sha256(b"fingerprint\x1f" + key).hexdigest()


def read_key(path: Path) -> bytes:
    """Raises MoveError when there is none. Never makes one, as a start does."""
    try:
        key = bytes.fromhex(path.read_text().strip())
    except FileNotFoundError as error:
        raise MoveError(f"There is no site key at {path}. Name its file with --key-file.") from error
    except ValueError as error:
        raise MoveError(f"{path} does not hold a site key.") from error
    if len(key) != 32:
        raise MoveError(f"{path} does not hold a site key.")
    return key
