"""Logs: one JSON object a line on stderr, or plain lines for a person at a terminal. Never PHI.

Every line says which act it belongs to (kit.acts): service, what is being done, correlation id. The level is
that of our own loggers: libraries say at debug level what they were given, patients included.
"""

import asyncio
import logging
import sys
import traceback
import warnings
from typing import Any

import orjson

from kit import acts
from kit.errors import AnteroomError
from schemas.envelope import Event

_OURS = ("anteroom", "kit", "schemas", "services")
_QUIET = ("pydicom", "pynetdicom", "multipart", "python_multipart", "httpx", "httpcore", "mail.log", "hl7apy")

_log = logging.getLogger(__name__)

Configured = tuple[str, bool]
"""Level, and whether lines are plain."""

_configured: list[Configured] = []


class _Lines(logging.Formatter):
    """Of an exception: where it came from and its kind. What it says only where we wrote it ourselves:
    other texts name values (a patient's, perhaps)."""

    def formatException(self, ei: Any) -> str:
        return _trace(ei[1], set()) if ei[1] is not None else ""


class _PlainLines(_Lines):
    def formatMessage(self, record: logging.LogRecord) -> str:
        text = super().formatMessage(record)
        act = acts.current()
        return text if act is None else f"{text} [{act.service}, {act.kind} {act.name}, {act.correlation_id}]"


class _JsonLines(_Lines):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (act := acts.current()) is not None:
            line["service"] = act.service
            line["act"] = f"{act.kind} {act.name}"
            line["correlation_id"] = act.correlation_id
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
    """Set up logging once, at start. `plain` None: plain when stderr is a terminal."""
    plain = plain if plain is not None else sys.stderr.isatty()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _PlainLines("%(asctime)s %(levelname)-7s %(name)s: %(message)s") if plain else _JsonLines()
    )
    libraries = max(logging.WARNING, logging.getLevelNamesMapping()[level])
    logging.basicConfig(level=libraries, handlers=[handler], force=True)
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    _configured[:] = [(level, plain)]
    silence_libraries()


def configured() -> Configured | None:
    """What a helper process must be told, so that its lines look the same; None before `configure`."""
    return _configured[0] if _configured else None


def silence_libraries() -> None:
    """DICOM libraries warn about values and name them: neither their logs nor their warnings may
    reach ours. Helper processes call it too."""
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # tries again by itself, and says so each time; what comes of it in the end is ours to tell
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    for module in ("pydicom", "pynetdicom", "pylibjpeg", "PIL"):
        warnings.filterwarnings("ignore", module=module)


class ActLines:
    """Watches acts (kit.acts): at debug level a line for each that ends."""

    def ended(self, act: acts.Act) -> None:
        if _log.isEnabledFor(logging.DEBUG):
            details = "".join(f", {name} {value}" for name, value in act.details.items())
            error = f", {act.error}" if act.error else ""
            _log.debug("%s in %.0f ms%s%s", act.outcome, act.took_s * 1000, details, error)

    def emitted(self, act: acts.Act, event: Event) -> None:
        _log.debug("published %s %s", event.topic, event.id)


def tell_of_loop_trouble(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An event loop's exception handler. The default one prints the error itself, with the values in it."""
    _log.error("the event loop: %s", context.get("message", "an error"), exc_info=context.get("exception"))
