"""One function an event. Each ends in one atomic save of the case, with the decision a policy made."""

from collections.abc import Callable
from datetime import datetime

from kit.access import AUDIENCES, keys_for, keys_of
from kit.destinations import DESTINATIONS
from kit.errors import Contended, VersionConflict
from kit.identity import ACCOUNTS, Principal
from kit.service import Kit
from schemas.envelope import Event
from schemas.forward import ForwardFailed, StudyForwarded
from schemas.match import StudyMatched, StudyUnmatched
from schemas.portal import StudyDecided
from schemas.shapes import Match
from schemas.validate import StudyArrived, StudyRemoved, StudyUpdated, SubmissionValidated
from schemas.view import StudyViewed
from services.portal.models import CASES, Case, Gone, Outcome, Settled, Stage, Verdict
from services.portal.rules.policy import might_approve, policy_decision
from services.portal.rules.state import (
    refresh,
    seen,
    senders,
    take_match,
    take_outcome,
    take_removed,
    take_settled,
    take_stage,
    take_study,
    take_verdict,
)

_TRIES = 50


async def study_changed(kit: Kit, event: StudyArrived | StudyUpdated, *, policies: bool = True) -> None:
    await _change(
        kit, event.study.id, event, policies, lambda c: take_study(c, event.study, event.correlation_id)
    )


async def match_changed(kit: Kit, event: StudyMatched | StudyUnmatched, *, policies: bool = True) -> None:
    match: Match = event.match
    await _change(kit, match.study_id, event, policies, lambda c: take_match(c, match, event.time))


async def submission_validated(kit: Kit, event: SubmissionValidated, *, policies: bool = True) -> None:
    """One save for each study of the submission; each is complete in itself, and a redelivery finds
    those made before."""
    settled = Settled(
        revision=event.revision, sender=event.sender, waiting=event.tally.waiting, time=event.time
    )

    def take(case: Case) -> bool:
        return take_settled(case, event.submission_id, settled, event.time)

    for study_id in event.studies:
        await _change(kit, study_id, event, policies, take)


async def study_forwarded(kit: Kit, event: StudyForwarded) -> None:
    outcome = Outcome(
        delivery_id=event.delivery_id,
        decision_id=event.decision_id,
        destination=event.destination,
        state="proven",
        time=event.time,
        instances=event.instances,
        proof=event.proof,
    )
    await _change(kit, event.study_id, event, False, lambda c: take_outcome(c, outcome))


async def forward_failed(kit: Kit, event: ForwardFailed) -> None:
    outcome = Outcome(
        delivery_id=event.delivery_id,
        decision_id=event.decision_id,
        destination=event.destination,
        state="failed",
        time=event.time,
        instances=event.sent,
        reason=event.reason,
        said=event.said,
    )
    await _change(kit, event.study_id, event, False, lambda c: take_outcome(c, outcome))


async def study_removed(kit: Kit, event: StudyRemoved) -> None:
    gone = Gone(time=event.time, rule=event.rule, bytes=event.bytes)
    await _change(kit, event.study_id, event, False, lambda c: take_removed(c, event.revision, gone))


async def study_viewed(kit: Kit, event: StudyViewed) -> None:
    """Marks the study as seen when whom it was sent to or shared with looked, for the first time."""
    if not await _is_addressed(kit, event):
        return
    stage = Stage(key="opened", stage="opened", time=event.time)

    def take(case: Case) -> bool:
        return case.study is not None and take_stage(case, stage)

    await _change(kit, event.study_id, event, False, take)


async def _is_addressed(kit: Kit, event: StudyViewed) -> bool:
    if event.kind == "share":
        return True
    account = await kit.identity.account(event.account_id) if event.kind == "account" else None
    audience = await kit.documents.get(AUDIENCES, event.study_id)
    if account is None or audience is None:
        return False
    keys = keys_of(Principal(await kit.identity.effective(account)))
    return not set(keys).isdisjoint(keys_for([*audience.recipients, *audience.shared]))


async def _change(kit: Kit, case_id: str, event: Event, policies: bool, take: Callable[[Case], bool]) -> None:
    for _ in range(_TRIES):
        case = await kit.documents.get(CASES, case_id) or Case(id=case_id)
        if not take(case):
            return
        emits = await _by_policy(kit, case, event) if policies else []
        refresh(case)
        try:
            await kit.documents.save(CASES, case, emits)
        except VersionConflict:
            continue
        return
    raise Contended("a case")


async def _by_policy(kit: Kit, case: Case, event: Event) -> list[Event]:
    if not might_approve(case) or case.study is None:
        return []
    ids = {case.study.sender.id, *(s.id for s in senders(case) if s is not None)}
    found = [await kit.documents.get(ACCOUNTS, account_id) for account_id in sorted(ids)]
    accounts = {account.id: await kit.identity.effective(account) for account in found if account is not None}
    now: datetime = kit.clock()
    decision = policy_decision(case, accounts, await destination_names(kit), now)
    if decision is None:
        return []
    take_verdict(case, Verdict(decision=decision, seen=seen(case.study)))
    return [
        StudyDecided.after(
            event, time=now, key=case.id, step=decision.id, decision=decision, study=case.study
        )
    ]


async def destination_names(kit: Kit) -> list[str]:
    rows = await kit.documents.project(DESTINATIONS, ["id"], limit=1000)
    return [str(row["id"]) for row in rows]
