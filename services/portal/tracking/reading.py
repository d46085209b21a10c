"""Finding a submission's track, its studies and who looked at them."""

from datetime import datetime

from kit.access import AUDIENCES, may_see_submission, may_view_id, submission_key
from kit.documents.port import Documents, Has
from kit.errors import NotFound
from kit.identity import Principal
from services.portal.models import AUDIT, CASES, Case
from services.portal.tracking.models import TRACKS, Track

_MOST_STUDIES = 500
_MOST_LOOKS = 200


async def visible_track(documents: Documents, who: Principal, submission_id: str) -> Track | None:
    """The track when it is theirs to see; None when it is not there or not theirs."""
    track = await documents.get(TRACKS, submission_id) if len(submission_id) <= 64 else None
    if track is None or not may_see_submission(who, track.sender_id, track.recipients):
        return None
    return track


async def required_track(documents: Documents, who: Principal, submission_id: str) -> Track:
    """Raises NotFound, in the same words whether it is not there or not theirs."""
    track = await visible_track(documents, who, submission_id)
    if track is None:
        raise NotFound("no-submission", "There is no such submission, or it is not yours to see.")
    return track


async def is_visible_study(documents: Documents, who: Principal, study_id: str) -> bool:
    if len(study_id) > 64 or await documents.get(CASES, study_id) is None:
        return False
    return await may_view_id(documents, who, study_id)


async def cases_of(documents: Documents, submission_id: str) -> list[Case]:
    """The studies it brought, in the order they arrived."""
    rows = await documents.project(
        AUDIENCES, ["id"], {"keys": Has(submission_key(submission_id))}, limit=_MOST_STUDIES
    )
    found = [await documents.get(CASES, str(row["id"])) for row in rows]
    cases = [case for case in found if case is not None and case.study is not None]
    return sorted(cases, key=lambda case: (case.arrived_at is None, case.arrived_at, case.id))


async def looked_at(documents: Documents, cases: list[Case], track: Track) -> datetime | None:
    """When somebody it was for first opened one of them; where it was for nobody by name, anybody of the
    hospital. None: nobody yet."""
    opened = [entry.time for case in cases for entry in case.timeline if entry.stage == "opened"]
    if opened or track.recipients:
        return min(opened, default=None)
    times = []
    for case in cases:
        page = await documents.find(AUDIT, {"object_id": case.id}, order="time", limit=_MOST_LOOKS)
        looks = [
            entry for entry in page.items if entry.action == "saw" and entry.account_id != track.sender_id
        ]
        times += [entry.time for entry in looks[:1]]
    return min(times, default=None)
