"""What aiokafka logs, at the level it deserves: it says the same many times a second while Kafka is away, and
calls errors what passes by itself at every first start."""

import logging

from aiokafka.errors import (
    CoordinatorLoadInProgressError,
    GroupCoordinatorNotAvailableError,
    LeaderNotAvailableError,
    NotLeaderForPartitionError,
)

_STARTING = (
    CoordinatorLoadInProgressError,
    GroupCoordinatorNotAvailableError,
    LeaderNotAvailableError,
    NotLeaderForPartitionError,
)
"""A topic or group that was made a moment ago has no leader yet; the client asks again. One that gets none is
told of by KafkaBus.trouble()."""


class OncePerMinute(logging.Filter):
    """Lets one record of each message template through a minute, and what passes by itself as information."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        template = str(record.msg)
        if isinstance(record.args, tuple) and any(isinstance(arg, _STARTING) for arg in record.args):
            record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
            template = f"{template} at a start"
        if record.created - self._last.get(template, 0.0) < 60:
            return False
        if len(self._last) > 200:
            self._last.clear()
        self._last[template] = record.created
        return True


def calm() -> None:
    """Warnings and errors only, and the filter on every logger of aiokafka that there is (idempotent)."""
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    for name in list(logging.root.manager.loggerDict):
        if name == "aiokafka" or name.startswith("aiokafka."):
            logger = logging.getLogger(name)
            if not any(isinstance(known, OncePerMinute) for known in logger.filters):
                logger.addFilter(OncePerMinute())
