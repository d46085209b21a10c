"""The audit trail: who decided, changed or saw what. Entries are inserted and never changed."""

from datetime import datetime
from typing import Any

from kit.identity import Account, Principal
from kit.ids import derived_id
from kit.saying import say
from kit.service import Kit
from schemas.envelope import Event
from schemas.forward import DeliveryRetried
from schemas.portal import StudyDecided, StudyExpired, SubmissionExpired
from schemas.shapes import Said
from schemas.validate import StudyRemoved, SubmissionCleared
from schemas.view import StudyViewed
from services.portal.models import AuditEntry
from services.portal.trail import append

_REMEMBERED = 5000
_RETENTION = ("policy:retention", "Retention")


async def decided(kit: Kit, event: StudyDecided) -> None:
    """Consumes our own event: the entry follows the decision even when the process dies in between."""
    decision = event.decision
    numbers = {"revision": decision.study_revision, "match": decision.match_revision}
    detail = (
        say("entry-decided", "revision %(revision)s, match %(match)s, by person", **numbers)
        if decision.by.kind == "person"
        else say("entry-decided-by-policy", "revision %(revision)s, match %(match)s, by policy", **numbers)
    )
    await _of_object(
        kit, event, decision.study_id, (decision.by.id, decision.by.name), decision.action, detail
    )


async def viewed(kit: Kit, event: StudyViewed) -> None:
    """Who looked at the images, by whichever way: page, viewer, DICOMweb or share link."""
    detail = by_link(event.grant_id) if event.grant_id else ""
    await _of_object(kit, event, event.study_id, (event.account_id, event.account), "viewed", detail)


async def retried(kit: Kit, event: DeliveryRetried) -> None:
    detail = say("entry-delivery", "delivery to %(destination)s", destination=event.destination)
    await _of_object(kit, event, event.study_id, (event.account_id, event.account), "retried", detail)


async def expired(kit: Kit, event: StudyExpired) -> None:
    form = "rule %(rule)s, revision %(revision)s"
    detail = say("entry-expired", form, rule=event.rule, revision=event.study_revision)
    await _of_object(kit, event, event.study_id, _RETENTION, "expired", detail)


async def removed(kit: Kit, event: StudyRemoved) -> None:
    form = "%(instances)s images, %(bytes)s bytes"
    detail = say("entry-removed", form, instances=event.instances, bytes=event.bytes)
    await _of_object(kit, event, event.study_id, _RETENTION, "images-removed", detail)


async def files_expired(kit: Kit, event: SubmissionExpired) -> None:
    detail = say("entry-files-expired", "rule %(rule)s", rule=event.rule)
    await _of_object(kit, event, event.submission_id, _RETENTION, "files-expired", detail, "submission")


async def files_removed(kit: Kit, event: SubmissionCleared) -> None:
    form = "rule %(rule)s: %(files)s files, %(bytes)s bytes"
    detail = say("entry-files-removed", form, rule=event.rule, files=event.files, bytes=event.bytes)
    await _of_object(kit, event, event.submission_id, _RETENTION, "files-removed", detail, "submission")


async def _of_object(
    kit: Kit,
    event: Event,
    object_id: str,
    who: tuple[str, str],
    action: str,
    detail: Said | str,
    kind: str = "study",
) -> None:
    """What an event says was done to a study or a submission, entered once. `who`: id and name."""
    account_id, account = who
    entry = AuditEntry(
        id="",
        ref=event.id,
        time=event.time,
        account_id=account_id,
        account=account,
        action=action,
        kind=kind,
        object_id=object_id,
        **detailed(detail),
    )
    await append(kit, entry)


def by_link(grant_id: str) -> Said:
    return say("entry-link", "link %(link)s", link=grant_id[:12])


def detailed(detail: Said | str) -> dict[str, Any]:
    """The fields of an entry that hold what there is to say besides."""
    if isinstance(detail, str):
        return {"detail": detail}
    return {"detail": detail.text, "code": detail.code, "values": detail.values}


async def changing(
    kit: Kit,
    who: Account,
    now: datetime,
    *,
    action: str,
    kind: str,
    object_id: str,
    detail: Said | str = "",
) -> None:
    """Called before an administrator's change, so that none happens unrecorded."""
    entry = AuditEntry(
        id="",
        time=now,
        account_id=who.id,
        account=who.name,
        action=action,
        kind=kind,
        object_id=object_id,
        **detailed(detail),
    )
    await append(kit, entry)


class Views:
    """Records who looked at a study, once an hour each."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._written: set[str] = set()

    async def seen(self, who: Principal, study_id: str, now: datetime) -> None:
        hour = now.strftime("%Y%m%d%H")
        ref = derived_id("seen", who.account.id, study_id, hour)
        if ref in self._written:
            return
        entry = AuditEntry(
            id="",
            ref=ref,
            time=now,
            account_id=who.account.id,
            account=who.account.name,
            action="saw",
            kind="study",
            object_id=study_id,
        )
        await append(self._kit, entry)
        if len(self._written) >= _REMEMBERED:
            self._written.clear()
        self._written.add(ref)
