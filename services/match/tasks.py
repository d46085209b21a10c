"""Asking the modality worklist about studies that wait. What it answers is kept like an order's message."""

import hashlib
import logging
from datetime import UTC, datetime, timedelta

from kit.clock import Clock
from kit.dicom.worklist import Worklist, WorklistItem, find_items
from kit.documents.port import Documents
from kit.errors import Unavailable, VersionConflict
from kit.tasks import TaskRunner
from schemas.match import PatientChanged
from schemas.shapes import Demographics, Order
from services.match.documents import MATCHES, ORDERS, PATIENTS, OrderDoc, Patient, StudyMatch
from services.match.records import Change, apply, apply_order
from services.match.rules.asking import accession_query, name_queries, relevant
from services.match.rules.facts import HeldId, OrderFacts, PatientFacts, order_key
from services.match.rules.tokens import order_tokens

_log = logging.getLogger(__name__)

_ASIDE = datetime(1900, 1, 1, tzinfo=UTC)
"""What a worklist says never overrides what an HL7 message says."""

_TRIES = 10


class WorklistTasks:
    """The runner works on the matches that are due; `plan` and `poke` are for the handlers."""

    def __init__(
        self,
        documents: Documents,
        clock: Clock,
        worklist: Worklist,
        *,
        default_issuer: str,
        again: timedelta,
        days: float,
        owner: str,
        exclusive: bool,
    ) -> None:
        self._documents = documents
        self._clock = clock
        self._worklist = worklist
        self._issuer = default_issuer
        self._again = again
        self._days = days
        self.runner = TaskRunner(
            documents,
            MATCHES,
            work=self.work,
            give_up=self.give_up,
            clock=clock,
            owner=owner,
            exclusive=exclusive,
            concurrency=2,
        )

    def poke(self) -> None:
        """A planned study was saved: look for it now."""
        self.runner.poke()

    def plan(self, record: StudyMatch) -> None:
        """Ask at once, and again from time to time for as long as set. The caller saves."""
        now = self._clock()
        record.due_at = now
        record.ask_until = now + timedelta(days=self._days)
        record.attempts = 0

    async def work(self, record: StudyMatch) -> None:
        reason = ""
        try:
            for item in await self._asked(record):
                await self._learn(item)
        except Unavailable as error:
            reason = str(error)
            _log.warning("the worklist could not be asked: %s", error)
        await self._ask_later(record.id, reason)

    async def give_up(self, record: StudyMatch, reason: str) -> None:
        """A defect: this study is not asked about any more; everything else of it stands."""
        record.due_at = None
        record.last_error = reason
        await self._documents.save(MATCHES, record)

    async def _asked(self, record: StudyMatch) -> list[WorklistItem]:
        study = record.identity
        items = await find_items(
            self._worklist,
            accession_number=accession_query(study.accession_number),
            names=name_queries(study.patient.name),
        )
        return [item for item in items if relevant(study, item.patient, item.order)]

    async def _learn(self, item: WorklistItem) -> None:
        """The item's patient, where no such record exists, and its order; each save stands alone and
        is repeated harmlessly."""
        facts = self._facts(item.patient)
        key = order_key(item.order)
        if facts is None or not key:
            return
        for _ in range(_TRIES):
            try:
                await self._learn_patient(facts)
                await self._learn_order(facts, key, item.order)
                return
            except VersionConflict:
                # A message said something of the same record: look again.
                continue

    async def _learn_patient(self, facts: PatientFacts) -> None:
        record = await self._documents.get(PATIENTS, facts.key)
        if record is not None:
            return
        record = Patient(id=facts.key)
        apply(Change(facts), record, _ASIDE)
        await self._documents.save(PATIENTS, record, emits=[self._changed(facts.key, record.demographics)])

    async def _learn_order(self, facts: PatientFacts, key: str, order: Order) -> None:
        record = await self._documents.get(ORDERS, key)
        record = record or OrderDoc(id=key, patient_key=facts.key, order=Order())
        before = record.order
        apply_order(OrderFacts(key, order, cancelled=False), facts.key, record, _ASIDE)
        if record.version and record.order == before:
            return
        record.tokens = [] if record.cancelled else order_tokens(record.order)
        changed = self._changed(facts.key, facts.demographics, record.order)
        await self._documents.save(ORDERS, record, emits=[changed])

    def _changed(self, key: str, patient: Demographics, order: Order | None = None) -> PatientChanged:
        content = (patient, order)
        step = "worklist:" + hashlib.sha256(repr(content).encode()).hexdigest()[:32]
        return PatientChanged.first(
            time=self._clock(),
            key=key,
            correlation_id=step[-32:],
            step=step,
            patient_key=key,
            patient=patient,
            order=order,
        )

    def _facts(self, patient: Demographics) -> PatientFacts | None:
        if not patient.patient_id:
            return None
        held = HeldId(patient.patient_id, patient.issuer or self._issuer)
        return PatientFacts((held,), patient.name, (), patient.birth_date, patient.sex)

    async def _ask_later(self, study_id: str, reason: str) -> None:
        """What was learned may have changed the study's record meanwhile: read it again."""
        for _ in range(_TRIES):
            record = await self._documents.get(MATCHES, study_id)
            if record is None:
                return
            later = self._clock() + self._again
            waits = record.state == "waiting" and record.ask_until is not None and later < record.ask_until
            record.due_at = later if waits else None
            record.lease_until = None
            record.attempts = 0
            record.last_error = reason
            try:
                await self._documents.save(MATCHES, record)
            except VersionConflict:
                continue
            return
