"""aiokafka says the same many times a second while Kafka is away; once a minute is enough."""

import logging


class OncePerMinute(logging.Filter):
    """Lets one record of each message template through a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        template = str(record.msg)
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
