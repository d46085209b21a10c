"""The clock: UTC, injected, so that tests can move it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present instant, timezone-aware, in UTC."""


def utc_now() -> datetime:
    return datetime.now(UTC)
