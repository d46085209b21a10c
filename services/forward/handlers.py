"""What forward does when a study was decided and when a PACS reports on storage commitment."""

import logging
from datetime import datetime

from kit.clock import Clock
from kit.documents.port import Documents, Has
from kit.errors import VersionConflict
from kit.ids import derived_id
from schemas.portal import StudyDecided
from schemas.upload import CommitmentReported
from services.forward.models import (
    DELIVERIES,
    NEWEST_DECISIONS,
    Delivery,
    NewestDecision,
)
from services.forward.reports import keep_report
from services.forward.rules import precedence

_log = logging.getLogger(__name__)


def delivery_id(decision_id: str, destination: str) -> str:
    return derived_id("delivery", decision_id, destination)


def _deliveries(event: StudyDecided, now: datetime) -> list[Delivery]:
    decision, study = event.decision, event.study
    if decision.action != "approve":
        return []
    return [
        Delivery(
            id=delivery_id(decision.id, destination),
            study_id=decision.study_id,
            study_revision=decision.study_revision,
            study_instance_uid=study.study_instance_uid,
            decision_id=decision.id,
            destination=destination,
            rank=precedence.rank(decision),
            identity=precedence.identity_key(decision.target, decision.order),
            target=decision.target,
            order=decision.order,
            stored_patient_id=study.patient.patient_id,
            decided_at=decision.time,
            packs=list(study.packs),
            sender=study.sender,
            submissions=list(study.submissions),
            cause=event.id,
            correlation_id=event.correlation_id,
            created_at=now,
            due_at=now,
        )
        for destination in dict.fromkeys(decision.destinations)
    ]


async def study_decided(event: StudyDecided, documents: Documents, clock: Clock) -> list[str]:
    """Make one delivery for each destination, then remember the decision as the study's newest.

    Inserting is idempotent and comes first: a crash between the two repeats both. Returns the
    destinations that have something to do.
    """
    made = _deliveries(event, clock())
    while True:
        newest = await documents.get(NEWEST_DECISIONS, event.decision.study_id)
        if newest is None:
            newest = NewestDecision(id=event.decision.study_id)
        if newest.has_seen(event):
            return [delivery.destination for delivery in made]
        await documents.insert_many(DELIVERIES, made)
        newest.remember(event)
        rank = precedence.rank(event.decision)
        if rank > newest.rank:
            newest.decision_id = event.decision.id
            newest.rank = rank
            newest.identity = precedence.identity_key(event.decision.target, event.decision.order)
            newest.destinations = [delivery.destination for delivery in made]
        try:
            await documents.save(NEWEST_DECISIONS, newest)
        except VersionConflict:
            continue
        return [delivery.destination for delivery in made]


async def commitment_reported(event: CommitmentReported, documents: Documents) -> None:
    """Keep the report where the delivery's worker looks for it. Reports nobody asked for are dropped."""
    asked = await documents.find(DELIVERIES, {"transactions": Has(event.transaction_uid)}, limit=1)
    if not asked.items:
        _log.info("a storage commitment report belongs to no delivery under way; ignored")
        return
    await keep_report(documents, event.transaction_uid, event.committed, dict(event.failed), event=event)
