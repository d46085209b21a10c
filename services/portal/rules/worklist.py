"""How the inbox sorts cases and speaks of them. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from kit.documents.port import Doc
from services.portal.models import Case
from services.portal.rules.state import State

Tone = Literal["", "ok", "wait", "stop", "off"]

TABS: dict[str, str] = {
    "open": "All open",
    "unmatched": "Needs a patient",
    "review": "Ready to approve",
    "flagged": "Findings",
    "arrived": "Arriving",
    "approved": "On the way",
    "failed": "Failed",
    "asked": "Sender was asked",
    "in-pacs": "In PACS",
    "declined": "Declined",
    "all": "All",
}
"""What the inbox can be narrowed to, and its name."""

AGES: dict[str, str] = {
    "": "Any age",
    "day": "Last 24 hours",
    "week": "Last 7 days",
    "older": "Older than 7 days",
    "overdue": "Overdue",
}
WAITING = (State.UNMATCHED, State.REVIEW, State.FAILED)
"""States in which a person here has to act."""


@dataclass(frozen=True)
class Chip:
    tone: Tone
    text: str
    count: int | None = None


def tab_conditions(tab: str) -> dict[str, str | bool]:
    if tab == "all":
        return {}
    if tab == "flagged":
        return {"open": True, "flagged": True}
    if tab in {state.value for state in State}:
        return {"state": tab}
    return {"open": True}


def age_bounds(age: str, now: datetime, overdue: timedelta) -> tuple[datetime | None, datetime | None]:
    """Arrived from (inclusive) and until (exclusive); None leaves that side open."""
    if age == "day":
        return now - timedelta(days=1), None
    if age == "week":
        return now - timedelta(days=7), None
    if age == "older":
        return None, now - timedelta(days=7)
    if age == "overdue":
        return None, now - overdue
    return None, None


def is_overdue(case: Case, now: datetime, overdue: timedelta) -> bool:
    return case.state in WAITING and case.arrived_at is not None and now - case.arrived_at > overdue


def row_mark(case: Case, held: Doc | None, audience: Doc | None, *, late: bool) -> str:
    """What a row shows is as it was as long as this is."""
    versions = (str(doc.version if doc is not None else 0) for doc in (case, held, audience))
    return f"{'.'.join(versions)}{'.late' if late else ''}"


def read_marks(text: str, most: int) -> dict[str, str]:
    """The rows that a page shows, in their order: `id:mark id:mark`."""
    pairs = (part.partition(":") for part in text.split()[:most])
    return {study_id: mark for study_id, _, mark in pairs}


def is_missing(first: Sequence[str], shown: Collection[str], *, more: bool) -> bool:
    """Whether a page that shows these studies lacks one of the `first` of its list. `more`: the list went on
    where the page ended, so what follows its last row is not missing but further down."""
    known = [study_id in shown for study_id in first]
    if more and any(known):
        while not known[-1]:
            known.pop()
    return not all(known)


def state_chip(case: Case, *, staff: bool) -> Chip:
    """The state in a few words. Who is not of the hospital learns nothing of its patients by it."""
    state = State(case.state)
    if state is State.UNMATCHED and staff:
        people = len({c.patient_key for c in case.match.candidates}) if case.match is not None else 0
        return Chip("wait", "possible patients", people) if people else Chip("wait", "No patient found")
    return {
        State.ARRIVED: Chip("", "Arriving"),
        State.UNMATCHED: Chip("", "In review"),
        State.REVIEW: Chip("ok", "Ready to approve") if staff else Chip("", "In review"),
        State.APPROVED: Chip("", "On its way"),
        State.IN_PACS: Chip("ok", "In PACS · proven"),
        State.FAILED: Chip("stop", "Delivery failed") if staff else Chip("", "On its way"),
        State.DECLINED: Chip("off", "Declined"),
        State.ASKED: Chip("wait", "Sender was asked"),
    }[state]


def series_shown(case: Case, most: int = 3) -> Sequence[str]:
    """The series whose thumbnails stand for the study: those with most images first."""
    if case.study is None:
        return ()
    pictures = [s for s in case.study.series if s.modality not in {"SR", "PR", "KO", "DOC"}]
    return [s.series_instance_uid for s in sorted(pictures, key=lambda s: -s.instances)[:most]]
