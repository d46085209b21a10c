"""The ledger of retention: what persons keep, and what went, when and by which rule."""

from kit.errors import Contended, NotFound, Stale, VersionConflict
from kit.identity import Principal
from kit.service import Kit
from schemas.validate import StudyRemoved
from services.portal.accounts import record
from services.portal.models import CASES, Case
from services.portal.retention_lines import lines, put
from services.portal.retention_models import EXPIRIES, Expiry
from services.portal.rules.state import refresh

_TRIES = 20


async def keep(kit: Kit, who: Principal, study_id: str, reason: str = "") -> None:
    """Keep the images of this study until somebody says otherwise. Raises NotFound, Stale.

    First the line, then the case: a look finishes what was cut off between the two.
    """
    case = await _case(kit, study_id)
    await record(kit, who, "kept", "study", study_id, reason[:200])
    kept = Expiry(
        id=study_id, state="kept", changed_at=kit.clock(), account=who.account.name, reason=reason[:200],
        generation=case.study.generation if case.study is not None else 1,
    )  # fmt: skip
    await put(kit, EXPIRIES, kept, lambda known: False, Contended("a study's retention"))
    await _mark(kit, study_id, kept=True)


async def release(kit: Kit, who: Principal, study_id: str) -> None:
    """Let the policy apply to it again. Raises NotFound, Stale."""
    await _case(kit, study_id)
    await record(kit, who, "released", "study", study_id)
    await _mark(kit, study_id, kept=False)
    for _ in range(_TRIES):
        expiry = await kit.documents.get(EXPIRIES, study_id)
        if expiry is None or expiry.state != "kept":
            return
        try:
            await kit.documents.delete(EXPIRIES, expiry)
        except VersionConflict:
            continue
        return
    raise Contended("a study's retention")


async def finish_keeping(kit: Kit) -> None:
    """What is in the list of kept studies is kept."""
    async for expiry in lines(kit, EXPIRIES, "kept"):
        case = await kit.documents.get(CASES, expiry.id)
        if case is None or case.kept or case.leaving is not None or case.gone is not None:
            continue
        now = await kit.documents.get(EXPIRIES, expiry.id)
        if now is not None and now.state == "kept":
            await _mark(kit, expiry.id, kept=True)


async def removed(kit: Kit, event: StudyRemoved) -> None:
    """What went. An event that comes again changes nothing of what is known of newer images."""
    gone = Expiry(
        id=event.study_id, state="removed", rule=event.rule, bytes=event.bytes, changed_at=event.time,
        generation=event.generation - 1,
    )  # fmt: skip

    def newer(known: Expiry) -> bool:
        return known.generation >= event.generation - (known.state == "removed")

    await put(kit, EXPIRIES, gone, newer, Contended("a study's retention"))


async def _case(kit: Kit, study_id: str) -> Case:
    """Raises NotFound, Stale."""
    case = await kit.documents.get(CASES, study_id) if len(study_id) <= 64 else None
    if case is None or case.study is None:
        raise NotFound("no-study", "There is no such study, or it is not yours to see.")
    if case.leaving is not None or case.gone is not None:
        raise Stale("too-late", "The images of this study were removed already.")
    return case


async def _mark(kit: Kit, study_id: str, *, kept: bool) -> None:
    """On the case itself: what lets the images go is a save of the same document."""
    for _ in range(_TRIES):
        case = await _case(kit, study_id)
        if case.kept is kept:
            return
        case.kept = kept
        refresh(case)
        try:
            await kit.documents.save(CASES, case)
        except VersionConflict:
            continue
        return
    raise Contended("a case")
