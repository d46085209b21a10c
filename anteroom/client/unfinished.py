"""Remembers where large uploads stand, so that the next run of the same command goes on in the middle."""

import contextlib
import hashlib
import json
import threading
from pathlib import Path
from typing import Self

from anteroom.client.batches import Batch


class Unfinished:
    """A small file in the user's cache, by server and client id. It only saves time: without it, or
    when it can't be written, a large file is sent from its beginning."""

    def __init__(self, client_id: str, server: str, folder: Path | None = None) -> None:
        name = hashlib.sha256(f"{server}\n{client_id}".encode()).hexdigest()[:40]
        try:
            home = folder or Path.home() / ".cache" / "anteroom" / "unfinished"
        except RuntimeError:
            home = Path("/nonexistent")
        self._path = home / f"{name}.json"
        self._locations: dict[str, str] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError, ValueError):
            stored = json.loads(self._path.read_text())
            if isinstance(stored, dict):
                self._locations = {str(key): str(value) for key, value in stored.items()}
        return self

    def __exit__(self, *_: object) -> None:
        return

    def location(self, batch: Batch) -> str | None:
        return self._locations.get(_key(batch))

    def keep(self, batch: Batch, location: str) -> None:
        with self._lock:
            self._locations[_key(batch)] = location
            self._save()

    def forget(self, ordinals: str) -> None:
        with self._lock:
            gone = [key for key in self._locations if key.split(":")[0] == ordinals]
            for key in gone:
                del self._locations[key]
            if gone:
                self._save()

    def forget_all(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _save(self) -> None:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = self._path.with_suffix(".new")
            temporary.write_text(json.dumps(self._locations))
            temporary.replace(self._path)


def _key(batch: Batch) -> str:
    """The layout counts: another plan of batches, or a changed file, finds nothing."""
    content = ",".join(f"{file.size}/{file.mtime_ns}" for file in batch.files)
    return f"{batch.ordinals}:{hashlib.sha256(content.encode()).hexdigest()[:16]}"
