"""One function an event. Each save is atomic with the events it emits, and recognises a redelivery."""

from datetime import datetime, tzinfo

from kit.clock import Clock
from kit.documents.port import Documents, Has, Where
from kit.hl7.message import parse
from schemas.envelope import Event
from schemas.match import Hl7Received, PatientChanged, PatientMerged, StudyMatched, StudyUnmatched
from schemas.portal import StudyDecided
from schemas.shapes import Demographics, Match, Order, Study
from schemas.validate import StudyArrived, StudyUpdated
from services.match.documents import MATCHES, ORDERS, PATIENTS, OrderDoc, Patient, StudyMatch
from services.match.index import PatientIndex
from services.match.records import Change, apply, apply_order, changes
from services.match.rules.decide import Outcome, decide, differs, offer_orders
from services.match.rules.facts import (
    OrderFacts,
    PatientFacts,
    merges,
    message_time,
    orders,
    patient_key,
    patients,
)
from services.match.rules.known import identity_of
from services.match.rules.tokens import NAMING, by_rarity, demographic_tokens, order_tokens, study_tokens
from services.match.tasks import WorklistTasks

_MOST_STUDIES = 300
"""Studies looked at again for one change."""

_LOOKS = 3

_LONGEST = 324
"""Characters of a value of a file that are looked at: a PN with all its groups."""


class Handlers:
    def __init__(
        self,
        documents: Documents,
        clock: Clock,
        *,
        zone: tzinfo,
        default_issuer: str,
        accession_from_filler: bool = True,
        worklist: WorklistTasks | None = None,
    ) -> None:
        self._documents = documents
        self._clock = clock
        self._zone = zone
        self._issuer = default_issuer
        self._accession_from_filler = accession_from_filler
        self._worklist = worklist
        self._index = PatientIndex(documents)

    async def learn(self, event: Hl7Received) -> None:
        """Every record and then every order that the message is about, one save each: what a crash
        leaves out, the redelivery adds."""
        message = parse(event.text)
        when = message_time(message, event.time, self._zone)
        people = patients(message, self._issuer)
        for key, change in changes(people, merges(message, self._issuer)).items():
            await self._learn_patient(event, key, change, when)
        for facts in orders(message, self._zone, accession_from_filler=self._accession_from_filler):
            await self._learn_order(event, facts, people[0], when)

    async def study_came(self, event: StudyArrived | StudyUpdated) -> None:
        """Match the study, then look once more at what came in between."""
        study = event.study
        record = await self._documents.get(MATCHES, study.id) or StudyMatch(id=study.id)
        if not record.has_seen(event) and study.revision > record.study_revision:
            _take_in(record, study)
            record.remember(event)
            outcome = await self._outcome(record)
            if self._worklist is not None and outcome.chosen is None:
                self._worklist.plan(record)
            await self._record(record, outcome, event)
            if self._worklist is not None:
                self._worklist.poke()
        await self.look_again(study.id, event)

    async def study_decided(self, event: StudyDecided) -> None:
        """A study that somebody decided on no longer waits."""
        record = await self._documents.get(MATCHES, event.study.id)
        decision = event.decision
        if record is None or record.has_seen(event) or decision.action == "ask-sender":
            return
        if decision.study_revision < record.study_revision:
            return
        record.state = "decided"
        record.due_at = None
        record.remember(event)
        await self._documents.save(MATCHES, record)

    async def patient_changed(self, event: PatientChanged) -> None:
        """Look again at studies that may be the patient's."""
        known_as = [event.patient] if event.previous is None else [event.patient, event.previous]
        await self._rematch(event, [event.patient_key], known_as, event.order)

    async def patient_merged(self, event: PatientMerged) -> None:
        retired = patient_key(event.retired.issuer, event.retired.patient_id)
        await self._rematch(event, [event.key, retired], [event.surviving, event.retired], None)

    async def look_again(self, study_id: str, cause: Event) -> None:
        """Match a known study anew and say so when that comes to something else.

        It looks once more after every save: what was stored before the save is seen by the next
        look, what is stored after it finds the study among those that wait.
        """
        for _ in range(_LOOKS):
            record = await self._documents.get(MATCHES, study_id)
            if record is None or record.match is None:
                return
            outcome = await self._outcome(record)
            match = record.match
            known = Outcome(match.rule, match.chosen, match.candidates)
            if not differs(known, outcome):
                return
            if record.state == "decided" and known.chosen is None and outcome.chosen is None:
                # Nobody waits for other candidates any more.
                return
            record.remember(cause)
            await self._record(record, outcome, cause)

    async def _rematch(
        self, event: Event, keys: list[str], known_as: list[Demographics], order: Order | None
    ) -> None:
        if await self._documents.count(MATCHES, cap=1) == 0:
            return
        tokens = order_tokens(order) if order is not None else []
        for patient in known_as:
            tokens += demographic_tokens(patient)
        for key in keys:
            record = await self._documents.get(PATIENTS, key)
            tokens += record.tokens if record is not None else []
        for found in (await self._index.orders(keys)).values():
            tokens += [token for local in found for token in order_tokens(local.order)]
        for study_id in await self._sharing(dict.fromkeys(tokens)):
            await self.look_again(study_id, event)

    async def _sharing(self, tokens: dict[str, None]) -> list[str]:
        """Studies that share a token: waiting ones any, others only one that names them."""
        found: dict[str, None] = {}
        someone_waits = await self._documents.count(MATCHES, {"state": "waiting"}, cap=1) > 0
        for token in by_rarity(tokens):
            if token[0] not in NAMING and not someone_waits:
                break
            where: Where = {"tokens": Has(token)}
            if token[0] not in NAMING:
                where = {"tokens": Has(token), "state": "waiting"}
            rows = await self._documents.project(MATCHES, ["id"], where, limit=_MOST_STUDIES - len(found))
            found.update(dict.fromkeys(str(row["id"]) for row in rows))
            if len(found) >= _MOST_STUDIES:
                break
        return list(found)

    async def _outcome(self, record: StudyMatch) -> Outcome:
        study = record.identity
        outcome = decide(study, await self._index.likely(study))
        keys = dict.fromkeys(candidate.patient_key for candidate in outcome.candidates)
        return offer_orders(study, outcome, await self._index.orders(keys))

    async def _record(self, record: StudyMatch, outcome: Outcome, cause: Event) -> None:
        matched = outcome.chosen is not None
        match = Match(
            study_id=record.id,
            study_revision=record.study_revision,
            revision=record.match.revision + 1 if record.match else 1,
            state="matched" if matched else "unmatched",
            certainty="certain" if matched else "none",
            rule=outcome.rule,
            chosen=outcome.chosen,
            candidates=outcome.candidates,
        )
        record.match = match
        if matched:
            record.due_at = None
        if record.state != "decided":
            record.state = "matched" if matched else "waiting"
        step = f"{record.id}:{match.revision}"
        now = self._clock()
        said: Event = (
            StudyMatched.after(cause, time=now, key=record.id, step=step, match=match)
            if matched
            else StudyUnmatched.after(cause, time=now, key=record.id, step=step, match=match)
        )
        await self._documents.save(MATCHES, record, emits=[said])

    async def _learn_patient(self, event: Hl7Received, key: str, change: Change, when: datetime) -> None:
        record = await self._documents.get(PATIENTS, key) or Patient(id=key)
        if record.has_seen(event):
            return
        before = record.model_copy()
        apply(change, record, when)
        record.remember(event)
        said = _said(event, before, record, change, self._clock())
        await self._documents.save(PATIENTS, record, emits=said)

    async def _learn_order(
        self, event: Hl7Received, facts: OrderFacts, owner: PatientFacts, when: datetime
    ) -> None:
        record = await self._documents.get(ORDERS, facts.key)
        record = record or OrderDoc(id=facts.key, patient_key=owner.key, order=Order())
        if record.has_seen(event):
            return
        before = (record.patient_key, record.order, record.cancelled)
        apply_order(facts, owner.key, record, when)
        record.tokens = [] if record.cancelled else order_tokens(record.order)
        record.remember(event)
        emits = []
        if record.version == 0 or before != (record.patient_key, record.order, record.cancelled):
            emits.append(
                PatientChanged.after(
                    event,
                    time=self._clock(),
                    key=owner.key,
                    step=facts.key,
                    patient_key=owner.key,
                    patient=owner.demographics,
                    order=record.order,
                )
            )
        await self._documents.save(ORDERS, record, emits=emits)


def _clipped(patient: Demographics) -> Demographics:
    """Files may hold far longer values than their kind allows; no hospital's record is like those."""
    return patient.model_copy(
        update={name: text[:_LONGEST] for name, text in patient if len(text) > _LONGEST}
    )


def _take_in(record: StudyMatch, study: Study) -> None:
    record.patient = _clipped(study.patient)
    record.others = [_clipped(other) for other in study.other_patients]
    record.accession_number = study.accession_number
    record.study_instance_uid = study.study_instance_uid
    record.study_date = study.study_date
    record.modalities = list(study.modalities)
    record.study_revision = study.revision
    record.state = "waiting"
    record.tokens = study_tokens(identity_of(study))


def _said(event: Event, before: Patient, record: Patient, change: Change, now: datetime) -> list[Event]:
    """What the change of a record is worth telling: who it is, or who replaced it."""
    said: list[Event] = []
    if record.version == 0 or (before.demographics, before.tokens) != (record.demographics, record.tokens):
        previous = (
            before.demographics if before.version and before.demographics != record.demographics else None
        )
        said.append(
            PatientChanged.after(
                event,
                time=now,
                key=record.id,
                step=record.id,
                patient_key=record.id,
                patient=record.demographics,
                previous=previous,
            )
        )
    if change.retired_by is not None and before.merged_into != record.merged_into:
        said.append(
            PatientMerged.after(
                event,
                time=now,
                key=record.merged_into,
                step=record.id,
                surviving=change.retired_by.surviving.demographics,
                retired=record.demographics,
            )
        )
    return said
