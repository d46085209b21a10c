"""Logs: one JSON object a line on stderr, or plain lines for a person at a terminal. Never PHI."""

import logging
import sys
import traceback
import warnings
from typing import Any

import orjson

from kit.errors import AnteroomError

_QUIET = ("pydicom", "pynetdicom", "multipart", "python_multipart", "httpx", "httpcore", "mail.log")


class _Lines(logging.Formatter):
    """Of an exception: where it came from and its kind. What it says only where we wrote it ourselves:
    other texts name values (a patient's, perhaps)."""

    def formatException(self, ei: Any) -> str:
        return _trace(ei[1], set()) if ei[1] is not None else ""


class _JsonLines(_Lines):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


def _trace(error: BaseException, seen: set[int]) -> str:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    parts = []
    if before is not None and id(before) not in seen:
        parts.append(f"{_trace(before, seen)}\n\nwhich led to:\n")
    parts.append("".join(traceback.format_tb(error.__traceback__)))
    parts.append(type(error).__qualname__ + (f": {error}" if isinstance(error, AnteroomError) else ""))
    if isinstance(error, BaseExceptionGroup):
        parts += [f"\n\nin it:\n{_trace(inner, seen)}" for inner in error.exceptions if id(inner) not in seen]
    return "".join(parts)


def configure(level: str = "INFO", *, plain: bool | None = None) -> None:
    """Set up the root logger once, at start. `plain` None: plain when stderr is a terminal."""
    handler = logging.StreamHandler(sys.stderr)
    if plain if plain is not None else sys.stderr.isatty():
        handler.setFormatter(_Lines("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    else:
        handler.setFormatter(_JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    silence_libraries()


def silence_libraries() -> None:
    """DICOM libraries warn about values and name them: neither their logs nor their warnings may
    reach ours. Helper processes call it too."""
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for module in ("pydicom", "pynetdicom", "pylibjpeg", "PIL"):
        warnings.filterwarnings("ignore", module=module)
