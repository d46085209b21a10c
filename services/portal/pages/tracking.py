"""The page that follows a submission, and its receipt. Notices lead here, also those about a study."""

from dataclasses import dataclass
from hashlib import sha256

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from kit.access import submission_key
from kit.errors import NotFound
from kit.identity import Principal
from kit.service import Caller, Kit
from services.portal.live import Interest, Live
from services.portal.models import Case
from services.portal.pages.following import stream
from services.portal.pages.frame import language_of, render, see_other
from services.portal.texts import topic
from services.portal.texts.bycode import for_scripts
from services.portal.tracking.models import Track
from services.portal.tracking.reading import (
    cases_of,
    is_visible_study,
    looked_at,
    required_track,
    visible_track,
)
from services.portal.tracking.stages import Way, way_of


class ViewableStudy(BaseModel):
    """A study of a submission, as soon as there is something of it to look at."""

    id: str
    uid: str
    instances: int


@dataclass(frozen=True)
class _State:
    track: Track
    cases: list[Case]
    way: Way
    mark: str
    """Changes when anything shown does."""


def routes(kit: Kit, live: Live) -> APIRouter:
    router = APIRouter(tags=["pages"], include_in_schema=False)

    async def state_of(track: Track) -> _State:
        cases = await cases_of(kit.documents, track.id)
        way = way_of(track, cases, await looked_at(kit.documents, cases, track))
        facts = [way, track.version, [(case.id, case.version) for case in cases]]
        return _State(track, cases, way, sha256(repr(facts).encode()).hexdigest()[:16])

    @router.get("/s/{submission_id}")
    async def tracking(request: Request, submission_id: str, who: Principal = Caller) -> Response:
        track = await visible_track(kit.documents, who, submission_id)
        if track is None:
            if await is_visible_study(kit.documents, who, submission_id):
                return see_other(request, f"/studies/{submission_id}")
            raise NotFound("no-submission", "There is no such submission, or it is not yours to see.")
        language = language_of(request, who)
        texts = {**topic(language, "send"), **for_scripts(language)}
        return await _page(request, who, "send/tracking.html", track, texts=texts)

    @router.get("/s/{submission_id}/state")
    async def state(
        request: Request,
        submission_id: str,
        mark: str = Query(default="", max_length=64),
        who: Principal = Caller,
    ) -> Response:
        """The part of the page that changes; nothing (204) as long as it is as `mark` says."""
        track = await required_track(kit.documents, who, submission_id)
        current = await state_of(track)
        if current.mark == mark:
            return Response(status_code=204)
        return await _page(request, who, "send/state.html", track)

    @router.get("/s/{submission_id}/live")
    async def news(request: Request, submission_id: str, who: Principal = Caller) -> Response:
        """News of the submission and its studies, for its page."""
        await required_track(kit.documents, who, submission_id)

        async def interested(reader: Principal) -> Interest:
            await required_track(kit.documents, reader, submission_id)
            return Interest(frozenset({submission_id, submission_key(submission_id)}))

        return stream(request, live, who, interested)

    @router.get("/s/{submission_id}/studies")
    async def studies(submission_id: str, who: Principal = Caller) -> list[ViewableStudy]:
        """While sending: what can be looked at already. Empty while nothing is known of the submission."""
        track = await visible_track(kit.documents, who, submission_id)
        if track is None:
            return []
        return [
            ViewableStudy(id=case.id, uid=case.study.study_instance_uid, instances=case.study.instances)
            for case in await cases_of(kit.documents, submission_id)
            if case.study is not None
        ]

    @router.get("/s/{submission_id}/receipt")
    async def receipt(request: Request, submission_id: str, who: Principal = Caller) -> Response:
        track = await required_track(kit.documents, who, submission_id)
        return await _page(request, who, "send/receipt.html", track)

    async def _page(
        request: Request, who: Principal, template: str, track: Track, texts: object = None
    ) -> Response:
        current = await state_of(track)
        return await render(
            request,
            template,
            who=who,
            place="/submissions",
            track=track,
            cases=current.cases,
            way=current.way,
            mark=current.mark,
            own=track.sender_id == who.account.id,
            texts=texts,
        )

    return router
