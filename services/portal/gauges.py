"""What is measured of the studies that wait for somebody or something, and of retention."""

from datetime import datetime

from kit.metrics import OLDEST_STUDY, RETENTION_CAPPED, RETENTION_DOUBTS, STUDIES
from kit.service import Kit
from services.portal.models import CASES
from services.portal.retention_models import POLICIES, POLICY
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


async def measure_retention(kit: Kit) -> None:
    """Whether it does its work: a clock that leapt, or more to announce than it may, stays unseen else."""
    policy = await kit.documents.get(POLICIES, POLICY)
    RETENTION_DOUBTS.set(policy.doubts if policy is not None else 0)
    for what in ("studies", "files"):
        RETENTION_CAPPED.labels(what).set(policy is not None and what in policy.capped)
