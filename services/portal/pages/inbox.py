"""The inbox: the worklist of the file room, a physician's patients, a sender's own studies."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from kit.access import sees_all
from kit.errors import Forbidden, Refused, VersionConflict
from kit.identity import Principal, Role
from kit.service import Caller, Kit
from services.portal import worklist
from services.portal.decisions import visible_case
from services.portal.holding import Holding
from services.portal.live import Interest, Live, interest_of
from services.portal.models import SAVED_VIEWS, Case, SavedView, SavedViews
from services.portal.pages.following import stream
from services.portal.pages.forms import read_form, text, texts
from services.portal.pages.frame import badge, render, see_other, tell
from services.portal.people.choosing import name_of
from services.portal.rules import decide
from services.portal.rules import worklist as rules
from services.portal.settings import PortalSettings
from services.portal.worklist import Filter

_MOST_AT_ONCE = 100
_MOST_VIEWS = 20
_MOST_ROWS = 500
"""Rows of one page that are kept current."""
MODALITIES = ("CT", "MR", "CR", "DX", "US", "MG", "XA", "NM", "PT", "RF", "OT")


@dataclass(frozen=True)
class Result:
    """What became of one study of several decided at once."""

    case: Case | None
    done: bool
    text: str


@badge("/")
async def waiting(kit: Kit, who: Principal) -> int:
    return await worklist.waiting(kit, who)


def routes(kit: Kit, settings: PortalSettings, live: Live, held: Holding) -> APIRouter:
    router = APIRouter(tags=["pages"], include_in_schema=False)
    overdue = timedelta(hours=settings.overdue_hours)

    def shared_values(who: Principal) -> dict[str, Any]:
        return {
            "who": who,
            "staff": sees_all(who),
            "may_decide": who.may(Role.APPROVE),
            "chip_of": rules.state_chip,
            "series_of": rules.series_shown,
            "overdue_of": is_late,
            "mark_of": rules.row_mark,
        }

    def is_late(case: Case) -> bool:
        return rules.is_overdue(case, kit.clock(), overdue)

    def mark_in(rows: worklist.Rows, case: Case, who: Principal) -> str:
        held, audience = rows.held.get(case.id), rows.audiences.get(case.id)
        return rules.row_mark(case, held, audience, late=sees_all(who) and is_late(case))

    async def tabs_of(who: Principal) -> dict[str, Any]:
        return {
            "counts": await worklist.counts(kit, who),
            "counted": worklist.COUNTED,
            "tabs": rules.TABS,
        }

    async def page(
        request: Request, who: Principal, asked: Filter, cursor: str | None, template: str
    ) -> Response:
        found = await worklist.rows(kit, who, asked, overdue, cursor)
        values: dict[str, Any] = {**shared_values(who), "rows": found, "asked": asked}
        if template == "inbox/inbox.html":
            values |= await whole(who, asked)
        return await render(request, template, **values)

    async def whole(who: Principal, asked: Filter) -> dict[str, Any]:
        views = await kit.documents.get(SAVED_VIEWS, who.account.id)
        oldest = await worklist.oldest(kit, who)
        return {
            **await tabs_of(who),
            "ages": rules.AGES,
            "modalities": MODALITIES,
            "people": await _people(kit, asked) if sees_all(who) else None,
            "views": views.views if views is not None else [],
            "oldest": oldest,
        }

    @router.get("/")
    async def inbox(request: Request, who: Principal = Caller) -> Response:
        asked = Filter.read(dict(request.query_params))
        return await page(request, who, Filter(**{**vars(asked), "q": ""}), None, "inbox/inbox.html")

    @router.post("/")
    async def narrowed(request: Request, who: Principal = Caller) -> Response:
        """Words looked for may be a patient's name: they come in the body, never in an address."""
        form = await read_form(request)
        asked = Filter.read(dict(form))
        cursor = text(form, "cursor", 500) or None
        if not request.headers.get("hx-request"):
            return await page(request, who, asked, cursor, "inbox/inbox.html")
        answer = await page(request, who, asked, cursor, "inbox/more.html" if cursor else "inbox/list.html")
        if not cursor:
            answer.headers["hx-push-url"] = f"/?{asked.query}" if asked.query else "/"
        return answer

    @router.post("/inbox/now")
    async def now(request: Request, who: Principal = Caller) -> Response:
        """What a page that is open has to change: the tabs with their counters, the rows that are no longer
        as it shows them, and whether it lacks a study. In one answer, however much happened."""
        form = await read_form(request)
        asked = Filter.read(dict(form))
        shown = rules.read_marks(text(form, "shown", 100 * _MOST_ROWS), _MOST_ROWS)
        found = await worklist.among(kit, who, shown)
        values = shared_values(who)
        changed = [case for case in found.cases if mark_in(found, case, who) != shown[case.id]]
        first = await worklist.first_ids(kit, who, asked, overdue)
        tabs = await tabs_of(who)
        values |= {
            **tabs,
            "rows": replace(found, cases=changed),
            "missing": rules.is_missing(first, shown, more=text(form, "more") == "yes"),
            "asked": asked,
            "waiting": sum(tabs["counts"][state.value] for state in rules.WAITING) if sees_all(who) else 0,
        }
        return await render(request, "inbox/now.html", **values)

    @router.post("/inbox/bulk")
    async def bulk(request: Request, who: Principal = Caller) -> Response:
        form = await read_form(request)
        who.require(Role.APPROVE)
        results = [
            await _one(kit, held, request, who, chosen, form)
            for chosen in texts(form, "study", _MOST_AT_ONCE)
        ]
        return await render(
            request, "inbox/results.html", results=results, action=text(form, "action"), who=who
        )

    @router.post("/inbox/views")
    async def save_view(request: Request, who: Principal = Caller) -> Response:
        form = await read_form(request)
        name, query = text(form, "name", 60), Filter.parse(text(form, "query", 1000)).query
        if who.kind != "account":
            raise Forbidden("not-allowed", "Only accounts have saved views.")
        if not name:
            raise Refused("no-name", "Give the view a name.")
        await _change_views(kit, who, name, SavedView(name=name, query=query))
        return see_other(request, f"/?{query}" if query else "/", "The view is saved.")

    @router.post("/inbox/views/remove")
    async def remove_view(request: Request, who: Principal = Caller) -> Response:
        form = await read_form(request)
        if who.kind != "account":
            raise Forbidden("not-allowed", "Only accounts have saved views.")
        await _change_views(kit, who, text(form, "name", 60), None)
        return see_other(request, "/", "The view is removed.")

    @router.get("/live")
    async def news(request: Request, study: str = "", who: Principal = Caller) -> Response:
        """News of the studies the reader may see, or of one of them."""

        async def interested(reader: Principal) -> Interest:
            return interest_of(reader, study)

        return stream(request, live, who, interested)

    return router


async def _one(
    kit: Kit, held: Holding, request: Request, who: Principal, chosen: str, form: FormData
) -> Result:
    """Decide one of several, on the view its row showed."""
    study_id, _, revisions = chosen.partition(":")
    study_revision, _, match_revision = revisions.partition(":")
    case: Case | None = None
    try:
        case, _ = await visible_case(kit.documents, who, study_id)
        asked = decide.Request(
            action="approve" if text(form, "action") == "approve" else "decline",
            study_revision=int(study_revision) if study_revision.isdecimal() else 0,
            match_revision=int(match_revision) if match_revision.isdecimal() else 0,
            target="match" if text(form, "action") == "approve" else None,
            reason=text(form, "reason", 500),
        )
        made = await held.hold(who, study_id, asked)
    except Refused as refused:
        return Result(case, done=False, text=tell(request, refused.text, who))
    return Result(
        case, done=True, text=tell(request, "Done." if made else "This was decided so already.", who)
    )


async def _people(kit: Kit, asked: Filter) -> dict[str, str]:
    """The names of those the inbox is narrowed to."""
    return {
        "sender": await name_of(kit, asked.sender),
        "recipient": await name_of(kit, asked.recipient),
    }


async def _change_views(kit: Kit, who: Principal, name: str, view: SavedView | None) -> None:
    known = await kit.documents.get(SAVED_VIEWS, who.account.id) or SavedViews(id=who.account.id)
    kept = [one for one in known.views if one.name != name]
    known.views = [*kept, *([view] if view is not None else [])][-_MOST_VIEWS:]
    try:
        await kit.documents.save(SAVED_VIEWS, known)
    except VersionConflict:
        await _change_views(kit, who, name, view)
