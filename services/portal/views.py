"""What the API shows of a case: a line of the list, and everything of one study.

A sender sees its own study, the decision in words and whether the images arrived, but nothing that
the hospital knows of its patients: no candidates, no chosen identity, no order, no names of staff.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from kit.saying import as_said, say
from schemas.shapes import Decision, Demographics, Match, Proof, Said, Sender, Study
from services.portal.models import Case, Stage
from services.portal.rules.state import last


class StudyLine(BaseModel):
    """One row of GET /api/studies."""

    id: str
    revision: int
    state: str
    why: str
    patient: Demographics
    accession_number: str
    study_date: str
    description: str
    modalities: tuple[str, ...]
    instances: int
    bytes: int
    sender: str
    arrived_at: datetime
    updated_at: datetime
    needs_person: bool


class Studies(BaseModel):
    studies: list[StudyLine]
    cursor: str | None = None


class ShownDelivery(BaseModel):
    delivery_id: str
    decision_id: str
    destination: str
    state: Literal["under way", "proven", "failed"]
    time: datetime | None = None
    instances: int = 0
    proof: Proof | None = None
    reason: str = ""
    said: Said | None = None


class ShownStage(BaseModel):
    stage: str
    time: datetime
    text: str = ""
    said: Said | None = None


class StudyDetail(BaseModel):
    """GET /api/studies/{id}. `study_revision` and `match_revision` go into the decision."""

    id: str
    state: str
    why: str
    why_said: Said | None = None
    sender: Sender
    study_revision: int
    match_revision: int
    study: Study
    match: Match | None
    decision: Decision | None
    decisions: list[Decision]
    deliveries: list[ShownDelivery]
    timeline: list[ShownStage]
    hint: str = ""


def _why(case: Case, *, staff: bool) -> str:
    """Why a delivery failed names the hospital's own systems."""
    return case.why if staff or case.state != "failed" else ""


def _why_said(case: Case) -> Said | None:
    return next((o.said for o in case.outcomes if o.said is not None and o.reason == case.why), None)


def _of_delivery(case: Case, stage: Stage) -> Said | None:
    """What a stage says of a delivery."""
    outcome = next((o for o in case.outcomes if stage.key == f"{stage.stage}-{o.delivery_id}"), None)
    if outcome is None:
        return None
    if outcome.state == "failed":
        reason = outcome.said or as_said(outcome.reason)
        return say("not-delivered", "%(destination)s: %(because)s", reason, destination=outcome.destination)
    form = "%(destination)s: %(count)s images."
    return say("delivered", form, destination=outcome.destination, count=outcome.instances)


def line(case: Case, study: Study, *, staff: bool) -> StudyLine:
    return StudyLine(
        id=case.id,
        revision=study.revision,
        state=case.state,
        why=_why(case, staff=staff),
        patient=study.patient,
        accession_number=study.accession_number,
        study_date=study.study_date,
        description=study.description,
        modalities=study.modalities,
        instances=study.instances,
        bytes=study.bytes,
        sender=study.sender.name,
        arrived_at=study.arrived_at,
        updated_at=study.updated_at,
        needs_person=study.needs_person,
    )


def detail(case: Case, study: Study, *, staff: bool) -> StudyDetail:
    decisions = [verdict.decision for verdict in case.verdicts]
    shown = decisions if staff else [_for_sender(decision) for decision in decisions]
    return StudyDetail(
        id=case.id,
        state=case.state,
        why=_why(case, staff=staff),
        why_said=_why_said(case) if staff else None,
        sender=study.sender,
        study_revision=study.revision,
        match_revision=case.match.revision if case.match is not None else 0,
        study=study,
        match=case.match if staff else None,
        decision=shown[-1] if shown else None,
        decisions=shown,
        deliveries=_deliveries(case, staff=staff),
        timeline=[
            ShownStage(
                stage=s.stage,
                time=s.time,
                text=s.text if staff else "",
                said=_of_delivery(case, s) if staff else None,
            )
            for s in case.timeline
            if staff or s.stage not in {"matched", "unmatched"}
        ],
        hint=_hint(case) if staff else "",
    )


def _for_sender(decision: Decision) -> Decision:
    by = decision.by.model_copy(update={"id": "", "name": "the hospital"})
    return decision.model_copy(update={"by": by, "target": None, "order": None, "destinations": ()})


def _deliveries(case: Case, *, staff: bool) -> list[ShownDelivery]:
    shown = [
        ShownDelivery(**outcome.model_dump()).model_copy(
            update={}
            if staff
            else {"destination": "PACS", "reason": "", "said": None, "proof": outcome.proof}
        )
        for outcome in case.outcomes
    ]
    verdict = last(case)
    if verdict is not None and verdict.decision.action == "approve" and staff:
        ended = {o.destination for o in case.outcomes if o.decision_id == verdict.decision.id}
        shown += [
            ShownDelivery(
                delivery_id="", decision_id=verdict.decision.id, destination=name, state="under way"
            )
            for name in verdict.decision.destinations
            if name not in ended
        ]
    return shown


def _hint(case: Case) -> str:
    """Something a person should know that changes no state."""
    verdict = last(case)
    if verdict is None or verdict.decision.action != "approve" or case.match is None:
        return ""
    decision, match = verdict.decision, case.match
    if match.revision <= decision.match_revision or match.chosen is None:
        return ""
    if match.chosen.patient == decision.target:
        return ""
    return "Hospital data that came after the approval point to another patient. Please check."
