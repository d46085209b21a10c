"""The way of a study, told the same everywhere, from viewable to seen. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.portal.models import Case
from services.portal.rules.state import State

WAY: dict[str, str] = {
    "arrived": "Viewable",
    "validated": "Safe",
    "matched": "Patient found",
    "approved": "Approved",
    "in-pacs": "In PACS",
    "opened": "Seen",
}
"""Stages, each with its name."""


@dataclass(frozen=True)
class Step:
    stage: str
    state: Literal["done", "now", "stop", ""]
    time: datetime | None = None


def way(case: Case) -> list[Step]:
    """Every stage: done with its time, the one that is waited for, and those to come."""
    times = {stage.stage: stage.time for stage in case.timeline}
    state = State(case.state)
    done = {"arrived": True, "validated": "validated" in times, "opened": "opened" in times}
    after_match = {State.REVIEW, State.APPROVED, State.IN_PACS, State.FAILED}
    done["matched"] = state in after_match or (state in {State.DECLINED, State.ASKED} and "matched" in times)
    done["approved"] = state in {State.APPROVED, State.IN_PACS, State.FAILED}
    done["in-pacs"] = state is State.IN_PACS
    steps: list[Step] = []
    found_now = False
    for stage in WAY:
        if done[stage]:
            chosen = times.get("approved") if stage == "matched" else None
            steps.append(Step(stage, "done", times.get(stage, chosen)))
        elif not found_now and state not in {State.DECLINED}:
            found_now = True
            steps.append(Step(stage, "stop" if state is State.FAILED else "now"))
        else:
            steps.append(Step(stage, ""))
    return steps
