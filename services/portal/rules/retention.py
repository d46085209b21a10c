"""When images may go: what the policy says of a case, and whether the clock is to be believed. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from kit.errors import Refused
from services.portal.models import Case

Rule = Literal["in-pacs", "declined"]
RULES: tuple[Rule, ...] = ("in-pacs", "declined")
"""States of a case, and why its images are not needed any more."""

EVERY = timedelta(hours=1)
"""From one look to the next."""
AGREEING = 24
"""So many looks in a row must find a clock that leapt going on as a clock does, before it is believed."""

_LEAP = timedelta(days=1)
_LONGEST_DAYS = 36_500
_LONGEST_HOURS = 24 * 60


def check(days: Iterable[int | None], undo_hours: int) -> None:
    """Raises Refused."""
    for number in days:
        if number is not None and not 1 <= number <= _LONGEST_DAYS:
            raise Refused("bad-days", "Days are a whole number from 1, or empty for never.")
    if not 1 <= undo_hours <= _LONGEST_HOURS:
        raise Refused("bad-hours", "The time to take it back is 1 to 1440 hours.")


def limit(days: int, now: datetime) -> datetime:
    """What is not needed since before this instant may go."""
    return now - timedelta(days=days)


def rule_for(case: Case | None, days: dict[Rule, int | None], now: datetime) -> Rule | None:
    """The rule by which the images of this case may go now; None while they stay."""
    if case is None or case.spare_since is None:
        return None
    rule = next((rule for rule in RULES if rule == case.state), None)
    kept = days[rule] if rule is not None else None
    return rule if kept is not None and case.spare_since < limit(kept, now) else None


def leapt(before: datetime | None, now: datetime) -> bool:
    """Whether more than a day lies between two looks: the clock is wrong, or was, or nothing ran here."""
    return before is not None and abs(now - before) > _LEAP


def believed(trusted_at: datetime | None, now: datetime) -> bool:
    """Whether a look believed the clock lately: nothing is removed by a clock that none did."""
    return trusted_at is not None and abs(now - trusted_at) <= 3 * EVERY


def looks_needed(hours: int) -> int:
    """So many looks after it was announced for these hours must have found that a study may go."""
    return max(1, hours // 2)
