"""A person decides: one atomic save of the case with the event."""

from kit.access import require_view
from kit.documents.port import Documents
from kit.errors import Contended, NotFound, VersionConflict
from kit.identity import Principal
from kit.service import Kit
from schemas.portal import StudyDecided
from schemas.shapes import DecidedBy, Decision, Study
from services.portal.handlers import destination_names
from services.portal.models import CASES, Case, Verdict
from services.portal.rules.decide import Request, decide, digest
from services.portal.rules.state import last, refresh, seen, take_verdict

_TRIES = 20


async def visible_case(documents: Documents, who: Principal, study_id: str) -> tuple[Case, Study]:
    """Raises NotFound, with the same words for what is not there and for what is not theirs to see."""
    case = await documents.get(CASES, study_id) if len(study_id) <= 64 else None
    if case is None or case.study is None:
        raise NotFound("no-study", "There is no such study, or it is not yours to see.")
    await require_view(documents, who, case.study)
    return case, case.study


async def decide_by_person(
    kit: Kit, who: Principal, study_id: str, request: Request
) -> tuple[Decision, bool, Case]:
    """The decision, whether it is new (False: a repeat), and the case after it.

    Raises NotFound, Stale and Refused.
    """
    by = DecidedBy(kind="person", id=who.account.id, name=who.account.name)
    known = await destination_names(kit)
    for _ in range(_TRIES):
        case, study = await visible_case(kit.documents, who, study_id)
        account = await kit.identity.account(study.sender.id)
        now = kit.clock()
        decision = decide(
            case,
            study,
            request,
            by=by,
            now=now,
            preferred=(await kit.identity.effective(account)).destinations if account is not None else [],
            known=known,
        )
        if decision is None:
            verdict = last(case)
            assert verdict is not None
            return verdict.decision, False, case
        take_verdict(case, Verdict(decision=decision, seen=seen(study), request=digest(request, by)))
        refresh(case)
        event = StudyDecided.first(
            time=now,
            key=case.id,
            correlation_id=case.correlation_id,
            step=decision.id,
            decision=decision,
            study=study,
        )
        try:
            await kit.documents.save(CASES, case, [event])
        except VersionConflict:
            continue
        return decision, True, case
    raise Contended("a case")
