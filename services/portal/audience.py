"""Keeps the audiences: who may see which study (kit.access), out of what submissions say.

A submission's recipients and the study it brought travel on topics without an order among each
other. Each handler saves its own document first and then reads the other's, so whichever comes
last completes the audience.
"""

from collections.abc import Callable
from contextlib import suppress

from kit.access import (
    ADDRESSED,
    AUDIENCES,
    Addressed,
    Audience,
    account_key,
    keys_for,
    submission_key,
)
from kit.documents.port import Documents, Has
from kit.documents.walking import each
from kit.errors import Contended, VersionConflict
from kit.service import Kit
from schemas.shapes import Person, Study
from schemas.upload import SubmissionOpened
from schemas.validate import StudyArrived, StudyUpdated

_TRIES = 50


async def submission_opened(kit: Kit, event: SubmissionOpened) -> None:
    documents = kit.documents
    known = await documents.get(ADDRESSED, event.submission_id)
    if known is None:
        fresh = Addressed(
            id=event.submission_id,
            sender_id=event.sender.id,
            recipients=list(event.recipients),
            urgent=event.urgency == "urgent",
        )
        await documents.insert_many(ADDRESSED, [fresh])
    async for audience in each(documents, AUDIENCES, {"keys": Has(submission_key(event.submission_id))}):
        await _bring(documents, audience.id, None)


async def study_changed(kit: Kit, event: StudyArrived | StudyUpdated) -> None:
    study = event.study
    await _bring(kit.documents, study.id, study)


async def share_with(documents: Documents, study_id: str, people: list[Person]) -> None:
    """Let these people (account_id or department) see the study too."""

    def add(audience: Audience) -> None:
        audience.shared = list(dict.fromkeys([*audience.shared, *people]))

    await _bring(documents, study_id, None, add)


async def unshare_with(documents: Documents, study_id: str, people: list[Person]) -> None:
    def drop(audience: Audience) -> None:
        audience.shared = [person for person in audience.shared if person not in people]

    await _bring(documents, study_id, None, drop)


async def _bring(
    documents: Documents,
    study_id: str,
    study: Study | None,
    edit: Callable[[Audience], None] | None = None,
) -> None:
    """Bring one audience to what study, submissions and sharing say now; saves only what differs."""
    for _ in range(_TRIES):
        audience = await documents.get(AUDIENCES, study_id) or Audience(id=study_id)
        before = audience.model_copy(deep=True)
        if study is not None:
            audience.arrived_at = study.arrived_at
            audience.submissions = list(dict.fromkeys([*audience.submissions, *study.submissions]))
            audience.senders = list(dict.fromkeys([*audience.senders, study.sender.id]))
        if edit is not None:
            edit(audience)
        found = [await documents.get(ADDRESSED, submission) for submission in audience.submissions]
        addressed = [one for one in found if one is not None]
        audience.recipients = list(dict.fromkeys(person for one in addressed for person in one.recipients))
        audience.urgent = any(one.urgent for one in addressed)
        audience.senders = list(dict.fromkeys([*audience.senders, *(one.sender_id for one in addressed)]))
        audience.keys = [
            *(account_key(sender) for sender in audience.senders),
            *keys_for([*audience.recipients, *audience.shared]),
            *(submission_key(submission) for submission in audience.submissions),
        ]
        if audience == before:
            return
        # once more after the save: what came in between did not find this audience yet
        with suppress(VersionConflict):
            await documents.save(AUDIENCES, audience)
    raise Contended("an audience")
