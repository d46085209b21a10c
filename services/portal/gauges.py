"""What is measured of the studies that wait for somebody or something."""

from datetime import datetime

from kit.metrics import OLDEST_STUDY, STUDIES
from kit.service import Kit
from services.portal.models import CASES
from services.portal.rules.state import State

_WAITING = (State.ARRIVED, State.UNMATCHED, State.REVIEW, State.APPROVED, State.FAILED)
_COUNTED = 10_000


async def measure_waiting(kit: Kit) -> None:
    """How many there are in each state, counted no further than 10,000, and since when the oldest is here."""
    now = kit.clock()
    for state in _WAITING:
        where = {"state": state.value}
        first = await kit.documents.project(CASES, ["arrived_at"], where, order="arrived_at", limit=1)
        arrived = [datetime.fromisoformat(row["arrived_at"]) for row in first if row["arrived_at"]]
        STUDIES.labels(state.value).set(await kit.documents.count(CASES, where, cap=_COUNTED))
        OLDEST_STUDY.labels(state.value).set((now - min(arrived, default=now)).total_seconds())
