"""The audit trail: who decided, changed or saw what. Entries are inserted and never changed."""

from datetime import datetime

from kit.documents.port import Documents
from kit.identity import Account, Principal
from kit.ids import derived_id, random_id
from kit.service import Kit
from schemas.portal import StudyDecided, StudyExpired
from schemas.validate import StudyRemoved
from schemas.view import StudyViewed
from services.portal.models import AUDIT, AuditEntry

_REMEMBERED = 5000


async def decided(kit: Kit, event: StudyDecided) -> None:
    """Consumes our own event: the entry follows the decision even when the process dies in between."""
    decision = event.decision
    entry = AuditEntry(
        id=derived_id("audit", event.id),
        time=event.time,
        account_id=decision.by.id,
        account=decision.by.name,
        action=decision.action,
        kind="study",
        object_id=decision.study_id,
        detail=f"revision {decision.study_revision}, match {decision.match_revision}, by {decision.by.kind}",
    )
    await kit.documents.insert_many(AUDIT, [entry])


async def viewed(kit: Kit, event: StudyViewed) -> None:
    """Who looked at the images, by whichever way: page, viewer, DICOMweb or share link."""
    entry = AuditEntry(
        id=derived_id("audit", event.id),
        time=event.time,
        account_id=event.account_id,
        account=event.account,
        action="viewed",
        kind="study",
        object_id=event.study_id,
        detail=f"link {event.grant_id[:12]}" if event.grant_id else "",
    )
    await kit.documents.insert_many(AUDIT, [entry])


async def expired(kit: Kit, event: StudyExpired) -> None:
    await _by_policy(kit, event, "expired", f"rule {event.rule}, revision {event.study_revision}")


async def removed(kit: Kit, event: StudyRemoved) -> None:
    await _by_policy(kit, event, "images-removed", f"{event.instances} images, {event.bytes} bytes")


async def _by_policy(kit: Kit, event: StudyExpired | StudyRemoved, action: str, detail: str) -> None:
    entry = AuditEntry(
        id=derived_id("audit", event.id),
        time=event.time,
        account_id="policy:retention",
        account="Retention",
        action=action,
        kind="study",
        object_id=event.study_id,
        detail=detail,
    )
    await kit.documents.insert_many(AUDIT, [entry])


async def changing(
    documents: Documents,
    who: Account,
    now: datetime,
    *,
    action: str,
    kind: str,
    object_id: str,
    detail: str = "",
) -> None:
    """Called before an administrator's change, so that none happens unrecorded."""
    entry = AuditEntry(
        id=random_id(),
        time=now,
        account_id=who.id,
        account=who.name,
        action=action,
        kind=kind,
        object_id=object_id,
        detail=detail,
    )
    await documents.insert_many(AUDIT, [entry])


class Views:
    """Records who looked at a study, once an hour each."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._written: set[str] = set()

    async def seen(self, who: Principal, study_id: str, now: datetime) -> None:
        hour = now.strftime("%Y%m%d%H")
        entry_id = derived_id("seen", who.account.id, study_id, hour)
        if entry_id in self._written:
            return
        entry = AuditEntry(
            id=entry_id,
            time=now,
            account_id=who.account.id,
            account=who.account.name,
            action="saw",
            kind="study",
            object_id=study_id,
        )
        await self._documents.insert_many(AUDIT, [entry])
        if len(self._written) >= _REMEMBERED:
            self._written.clear()
        self._written.add(entry_id)
