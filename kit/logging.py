"""Logs: one JSON object a line on stderr, or plain lines for a person at a terminal. Never PHI."""

import logging
import sys
import warnings

import orjson

_QUIET = ("pydicom", "pynetdicom", "multipart", "python_multipart", "httpx", "httpcore", "mail.log")


class _JsonLines(logging.Formatter):
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


def configure(level: str = "INFO", *, plain: bool | None = None) -> None:
    """Set up the root logger once, at start. `plain` None: plain when stderr is a terminal."""
    handler = logging.StreamHandler(sys.stderr)
    if plain if plain is not None else sys.stderr.isatty():
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
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
