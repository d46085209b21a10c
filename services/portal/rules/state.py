"""The state of a case, and how events change it. Pure.

arrived    viewable; matching has not answered yet
unmatched  waits for a person to say who the patient is
review     has its patient; waits for approval
approved   decided; deliveries are under way
in-pacs    every destination of the decision has it, proved
failed     a delivery of the decision needs a person
declined   will not be imported
asked      the sender was asked to send again or explain

The state is a function of four facts (study, match, last decision, outcomes of its deliveries), so
the order in which events arrive cannot matter.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from schemas.shapes import Match, Proof, Sender, Study
from services.portal.models import Case, Gone, Outcome, Seen, Settled, Stage, Verdict
from services.portal.rules.search import tokens


class State(StrEnum):
    ARRIVED = "arrived"
    UNMATCHED = "unmatched"
    REVIEW = "review"
    APPROVED = "approved"
    IN_PACS = "in-pacs"
    FAILED = "failed"
    DECLINED = "declined"
    ASKED = "asked"


CLOSED = frozenset({State.IN_PACS, State.DECLINED})
_BESIDES = frozenset({"SR", "PR", "KO", "SEG", "DOC", "AU", "REG", "RTSTRUCT", "RTPLAN", "OT"})

NEW_IMAGES = "New images came since the last decision."
CHANGED = "What is known of the study changed since the last decision."


def seen(study: Study) -> Seen:
    return Seen(
        instances=study.instances,
        needs_person=study.needs_person,
        patient=study.patient,
        other_patients=study.other_patients,
        generation=study.generation,
        conflicts=conflicts(study),
    )


def last(case: Case) -> Verdict | None:
    return case.verdicts[-1] if case.verdicts else None


def outdated(verdict: Verdict, study: Study) -> str:
    """Why this decision does not cover the study as it is now; empty when it does.

    A revision that adds nothing to look at (every image sent once more) needs no new decision.
    """
    if study.revision <= verdict.decision.study_revision:
        return ""
    now = seen(study)
    if now == verdict.seen:
        return ""
    fresh = (now.instances, now.generation) != (verdict.seen.instances, verdict.seen.generation)
    return NEW_IMAGES if fresh else CHANGED


def state_of(case: Case) -> tuple[State, str]:
    """The state and, where it needs one, its reason."""
    verdict = last(case)
    why = ""
    if verdict is not None and case.study is not None:
        why = outdated(verdict, case.study)
    if verdict is not None and not why:
        return _decided(case, verdict)
    if case.match is None:
        return State.ARRIVED, why
    return (State.REVIEW if case.match.state == "matched" else State.UNMATCHED), why


def _decided(case: Case, verdict: Verdict) -> tuple[State, str]:
    decision = verdict.decision
    if decision.action == "decline":
        return State.DECLINED, decision.reason
    if decision.action == "ask-sender":
        return State.ASKED, decision.reason
    outcomes = {o.destination: o for o in case.outcomes if o.decision_id == decision.id}
    failed = [o for o in outcomes.values() if o.state == "failed"]
    if failed:
        return State.FAILED, failed[0].reason
    if all(name in outcomes for name in decision.destinations):
        return State.IN_PACS, ""
    return State.APPROVED, ""


def take_study(case: Case, study: Study, correlation_id: str) -> bool:
    """Keep the highest revision; False when the case has it or a newer one already."""
    if case.study is not None and case.study.revision >= study.revision:
        return False
    first = case.study is None
    case.study = study
    case.leaving, case.gone = None, None
    case.sender_id = study.sender.id
    if first:
        case.correlation_id = correlation_id
    case.arrived_at = study.arrived_at
    case.updated_at = study.updated_at
    case.tokens = tokens(study)
    _mark(case, Stage(key="arrived", stage="arrived", time=study.arrived_at, text="Viewable."))
    if study.revision > 1:
        text = f"{study.instances} images in all."
        _mark(case, Stage(key="images", stage="images", time=study.updated_at, text=text))
    return True


def take_match(case: Case, match: Match, time: datetime) -> bool:
    if case.match is not None and case.match.revision >= match.revision:
        return False
    known = case.match
    case.match = match
    if known is None or (known.state, known.chosen) != (match.state, match.chosen):
        text = f"By {match.rule}." if match.state == "matched" and match.rule else ""
        stage = "matched" if match.state == "matched" else "unmatched"
        _mark(case, Stage(key=f"match-{match.revision}", stage=stage, time=time, text=text))
    return True


def take_settled(case: Case, submission_id: str, settled: Settled, time: datetime) -> bool:
    known = case.settled.get(submission_id)
    if known is not None and known.revision >= settled.revision:
        return False
    if known is None and case.study is not None and submission_id not in case.study.submissions:
        case.leaving = None  # what was to go is not removed once another submission has come
    case.settled[submission_id] = settled
    text = "Every file has its state." if settled.waiting == 0 else f"{settled.waiting} files still wait."
    _mark(case, Stage(key=f"validated-{submission_id}", stage="validated", time=time, text=text))
    return True


def take_outcome(case: Case, outcome: Outcome) -> bool:
    """A proof is final: a failure that was reported before it, but arrives later, changes nothing."""
    known = next((o for o in case.outcomes if o.delivery_id == outcome.delivery_id), None)
    if known is not None and known.state == "proven":
        return False
    if known is not None and outcome.state == "failed" and outcome.time <= known.time:
        return False
    case.outcomes = [*(o for o in case.outcomes if o.delivery_id != outcome.delivery_id), outcome]
    stage = "in-pacs" if outcome.state == "proven" else "failed"
    text = f"{outcome.destination}: {outcome.instances} images."
    if outcome.reason:
        text = f"{outcome.destination}: {outcome.reason}"
    key = f"{stage}-{outcome.delivery_id}"
    _mark(case, Stage(key=key, stage=stage, time=outcome.time, text=text))
    return True


def take_verdict(case: Case, verdict: Verdict) -> None:
    decision = verdict.decision
    case.verdicts = [*case.verdicts, verdict]
    stage = {"approve": "approved", "decline": "declined", "ask-sender": "asked"}[decision.action]
    text = f"By {decision.by.name}." if decision.by.kind == "person" else f"By policy {decision.by.name}."
    _mark(case, Stage(key=decision.id, stage=stage, time=decision.time, text=text))


def take_removed(case: Case, revision: int, gone: Gone) -> bool:
    """What is known of the study stays as it was. False when it is known, or newer images came since."""
    if case.study is None or case.study.revision >= revision:
        return False
    case.study = case.study.model_copy(update={"revision": revision, "packs": ()})
    case.leaving, case.gone = None, gone
    _mark(case, Stage(key=f"removed-{revision}", stage="removed", time=gone.time))
    return True


def take_stage(case: Case, stage: Stage) -> bool:
    """A stage that happens once: the first time counts. False when the case has it."""
    if any(known.key == stage.key for known in case.timeline):
        return False
    _mark(case, stage)
    return True


def refresh(case: Case) -> None:
    """Derive the state again after anything was taken in."""
    state, case.why = state_of(case)
    case.state = state.value
    case.open = state not in CLOSED
    case.flagged = case.study is not None and flagged(case.study)
    case.modality = main_modality(case.study.modalities) if case.study is not None else ""
    case.bytes = sum(pack.bytes for pack in case.study.packs) if case.study is not None else 0
    case.spare_since = spare_since(case)


def spare_since(case: Case) -> datetime | None:
    """When it was turned down, or when the last of its images was proved to be at the last destination; later
    where a submission of it settled later: who sends images once more counts on them.

    Images that others could not prove are needed: those of a submission that is not settled, those put aside
    because an earlier image has the same UID, and those that a destination files under another identity.
    """
    study, verdict = case.study, last(case)
    if study is None or verdict is None or None in senders(case):
        return None
    if conflicts(study) or any(settled.waiting for settled in case.settled.values()):
        return None
    if case.kept or case.leaving is not None or case.gone is not None:
        return None
    if outdated(verdict, study) or not study.packs:
        return None
    decision = verdict.decision
    sent = [settled.time for settled in case.settled.values() if settled.time is not None]
    if decision.action == "decline":
        return max([decision.time, *sent])
    outcomes = {o.destination: o for o in case.outcomes if o.decision_id == decision.id}
    proven = [outcomes[name] for name in decision.destinations if name in outcomes]
    complete = [o for o in proven if o.proof is not None and _whole(o.proof, study)]
    if decision.action != "approve" or not proven or len(complete) < len(decision.destinations):
        return None
    return max([*(o.time for o in complete), *sent])


def _whole(proof: Proof, study: Study) -> bool:
    return proof.instances >= study.instances and not proof.other_identity


def conflicts(study: Study) -> int:
    """Images put aside because an earlier one has the same UID."""
    return sum(one.count for one in study.findings if one.code == "same-uid-other-content")


def sent_in(case: Case) -> tuple[str, ...]:
    """The submissions the case knows of, those that only brought what was here among them."""
    known = case.study.submissions if case.study is not None else ()
    return tuple(dict.fromkeys([*known, *case.settled]))


def flagged(study: Study) -> bool:
    """Something of it should be looked at closely before anybody approves."""
    return (
        study.needs_person
        or bool(study.other_patients)
        or any(f.severity == "error" or f.action == "quarantined" for f in study.findings)
    )


def main_modality(modalities: Sequence[str]) -> str:
    """The one that made pictures, where others only describe them."""
    pictures = [name for name in modalities if name not in _BESIDES]
    return (pictures or list(modalities) or [""])[0]


def senders(case: Case) -> list[Sender | None]:
    """The sender of every submission of the study; None for those not settled yet."""
    if case.study is None:
        return [None]
    settled = (case.settled.get(submission) for submission in case.study.submissions)
    return [s.sender if s is not None and s.waiting == 0 else None for s in settled]


def _mark(case: Case, stage: Stage) -> None:
    kept = [*(s for s in case.timeline if s.key != stage.key), stage]
    case.timeline = sorted(kept, key=lambda s: s.time)[-200:]
