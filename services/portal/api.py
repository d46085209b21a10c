"""The study routes: list, detail, decision."""

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from kit.access import is_physician, sees_all, visible
from kit.documents.port import HasPrefix, In, Scalar
from kit.errors import Refused
from kit.identity import Principal, Role
from kit.service import Caller, Kit
from schemas.shapes import Decision
from services.portal.audit import Views
from services.portal.decisions import decide_by_person, visible_case
from services.portal.models import CASES
from services.portal.rules.decide import Request as Asked
from services.portal.rules.decide import StaleView
from services.portal.rules.search import words
from services.portal.rules.state import State
from services.portal.views import Studies, StudyDetail, detail, line


class WhoAmI(BaseModel):
    id: str
    name: str
    roles: list[Role]


class StudySearch(BaseModel):
    """`q`: beginnings of patient name, ID, accession number, or the UID. `sender`: id of an account."""

    q: str = Field(default="", max_length=200)
    state: State | None = None
    sender: str = Field(default="", max_length=64)
    limit: int = Field(default=50, ge=1)
    cursor: str | None = Field(default=None, max_length=500)


class Decided(BaseModel):
    decision: Decision
    repeated: bool
    state: str


def routes(kit: Kit, page_limit: int) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["studies"])
    views = Views(kit)

    @router.get("/whoami")
    async def whoami(who: Principal = Caller) -> WhoAmI:
        return WhoAmI(id=who.account.id, name=who.account.name, roles=who.account.roles)

    @router.get("/studies")
    async def studies(
        request: Request,
        state: State | None = None,
        sender: str = Query(default="", max_length=64, description="id of a sender account"),
        limit: int = Query(default=50, ge=1),
        cursor: str | None = Query(default=None, max_length=500),
        who: Principal = Caller,
    ) -> Studies:
        """Newest first: those the caller may see."""
        if "q" in request.query_params:
            raise Refused("search-by-post", "A name has no place in an address: POST /api/studies/search.")
        return await chosen(StudySearch(state=state, sender=sender, limit=limit, cursor=cursor), who)

    @router.post("/studies/search")
    async def search(search: StudySearch, who: Principal = Caller) -> Studies:
        """The same by patient name or ID, accession number or UID, which stand in no address."""
        return await chosen(search, who)

    async def chosen(search: StudySearch, who: Principal) -> Studies:
        if not sees_all(who) and who.kind != "share" and not who.may(Role.VIEW):
            who.require(Role.SEND)
        return await _list(kit, who, search, min(search.limit, page_limit))

    @router.get("/studies/{study_id}")
    async def study(study_id: str, who: Principal = Caller) -> StudyDetail:
        case, found_study = await visible_case(kit.documents, who, study_id)
        await views.seen(who, case.id, kit.clock())
        return detail(case, found_study, staff=is_physician(who))

    @router.post("/studies/{study_id}/decision", response_model=Decided)
    async def decision(study_id: str, request: Asked, who: Principal = Caller) -> Decided | JSONResponse:
        await visible_case(kit.documents, who, study_id)
        who.require(Role.APPROVE)
        try:
            made, new, case = await decide_by_person(kit, who, study_id, request)
        except StaleView as stale:
            current = {"study_revision": stale.study_revision, "match_revision": stale.match_revision}
            return JSONResponse({"code": stale.code, "error": stale.text, **current}, status_code=409)
        return Decided(decision=made, repeated=not new, state=case.state)

    return router


async def _list(kit: Kit, who: Principal, search: StudySearch, limit: int) -> Studies:
    where: dict[str, Scalar | HasPrefix | In] = {}
    if not sees_all(who):
        where["id"] = In((await visible(kit.documents, who)).ids)
    if search.state is not None:
        where["state"] = search.state.value
    if search.sender:
        where["sender_id"] = search.sender
    asked = words(search.q)
    if search.q.strip() and not asked:
        raise Refused("bad-query", "Search for at least one letter or digit.")
    if asked:
        where["tokens"] = HasPrefix(*asked)
    page = await kit.documents.find(
        CASES, where, order="arrived_at", descending=True, limit=limit, cursor=search.cursor
    )
    staff = is_physician(who)
    shown = [line(case, case.study, staff=staff) for case in page.items if case.study is not None]
    return Studies(studies=shown, cursor=page.cursor)
