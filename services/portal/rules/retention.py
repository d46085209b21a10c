"""When images may go: what the policy says of a case. Pure."""

from datetime import datetime, timedelta
from typing import Literal

from kit.errors import Refused
from services.portal.models import Case

Rule = Literal["in-pacs", "declined"]
RULES: tuple[Rule, ...] = ("in-pacs", "declined")
"""States of a case, and why its images are not needed any more."""

_LONGEST_DAYS = 36_500
_LONGEST_HOURS = 24 * 60


def check(days: dict[Rule, int | None], undo_hours: int) -> None:
    """Raises Refused."""
    for number in days.values():
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
