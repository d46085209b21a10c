"""The page of one study: its images, whose it is, what is decided, what was said."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.datastructures import FormData

from kit.access import AUDIENCES, is_physician, may_download, sees_all
from kit.errors import Forbidden, Refused
from kit.identity import Principal, Role
from kit.ids import random_id
from kit.service import Caller, Kit
from schemas.shapes import Candidate, Demographics, Order, SeriesSummary, Study
from services.portal.accounts import record
from services.portal.audit import Views
from services.portal.decisions import visible_case
from services.portal.handlers import destination_names
from services.portal.holding import Holding
from services.portal.live import Live
from services.portal.models import AUDIT, COMMENTS, HELD, Case, Comment, Held
from services.portal.pages.forms import read_form, text, texts
from services.portal.pages.frame import render, see_other
from services.portal.retention import Retention
from services.portal.retention_models import EXPIRIES
from services.portal.rules import decide, worklist
from services.portal.rules.compare import changes, likelihood, pairs, people
from services.portal.rules.decide import Chosen, Typed, default_destinations
from services.portal.rules.state import last, outdated, sent_in
from services.portal.rules.way import WAY, way
from services.portal.settings import PortalSettings
from services.portal.sharing import shares_of
from services.portal.tracking.models import TRACKS, Track
from services.portal.views import detail

_COMMENTS_SHOWN = 200
_SEEN_SHOWN = 30
_SENT_SHOWN = 5
_SENT_READ = 50
_AWAITED = 20
"""Documents whose place is kept until the page has heard of them."""
_FIELD_NAMES = {"name": "Name", "birth_date": "Born", "sex": "Sex", "patient_id": "ID", "id": "ID"}


def routes(kit: Kit, settings: PortalSettings, live: Live, held: Holding, retention: Retention) -> APIRouter:
    router = APIRouter(prefix="/studies", tags=["pages"], include_in_schema=False)
    views = Views(kit)

    async def page(
        request: Request,
        who: Principal,
        study_id: str,
        *,
        part: str = "",
        error: Refused | None = None,
        said: str = "",
    ) -> Response:
        case, study = await visible_case(kit.documents, who, study_id)
        values = await _values(kit, settings, who, case, study)
        partial = bool(request.headers.get("hx-request"))
        status = 200 if error is None or partial else error.status
        template = f"study/{part}.html" if part and partial else "study/study.html"
        return await render(request, template, status=status, error=error, said=said, **values)

    @router.get("/{study_id}")
    async def study_page(request: Request, study_id: str, who: Principal = Caller) -> Response:
        case, _ = await visible_case(kit.documents, who, study_id)
        await views.seen(who, case.id, kit.clock())
        return await page(request, who, study_id)

    @router.get("/{study_id}/parts")
    async def parts(request: Request, study_id: str, who: Principal = Caller) -> Response:
        """What may have changed, for a page that is open."""
        return await page(request, who, study_id, part="parts")

    @router.post("/{study_id}/decision")
    async def decision(request: Request, study_id: str, who: Principal = Caller) -> Response:
        form = await read_form(request)
        await visible_case(kit.documents, who, study_id)
        who.require(Role.APPROVE)
        try:
            await held.hold(who, study_id, _request(form))
        except Refused as refused:
            if refused.status == 404:
                raise
            return await page(request, who, study_id, part="decide", error=refused)
        return await _done(request, who, study_id)

    async def _done(request: Request, who: Principal, study_id: str) -> Response:
        if request.headers.get("hx-request"):
            return await page(request, who, study_id, part="decide")
        return see_other(request, f"/studies/{study_id}")

    @router.post("/{study_id}/undo")
    async def undo(request: Request, study_id: str, who: Principal = Caller) -> Response:
        await read_form(request)
        await visible_case(kit.documents, who, study_id)
        try:
            await held.undo(who, study_id)
        except Refused as refused:
            return await page(request, who, study_id, part="decide", error=refused)
        return await _done(request, who, study_id)

    @router.post("/{study_id}/keep")
    async def keep(request: Request, study_id: str, who: Principal = Caller) -> Response:
        """Its images stay here, whatever retention says."""
        await read_form(request)
        await visible_case(kit.documents, who, study_id)
        who.require(Role.APPROVE)
        await retention.keep(who, study_id)
        return see_other(request, f"/studies/{study_id}", "Its images are kept until somebody lets them go.")

    @router.post("/{study_id}/compare")
    async def compare(request: Request, study_id: str, who: Principal = Caller) -> Response:
        """A patient that was searched for, beside the study's; to be chosen like a candidate."""
        form = await read_form(request)
        who.require(Role.APPROVE)
        _, study = await visible_case(kit.documents, who, study_id)
        patient = _patient(text(form, "patient", 2000))
        orders = [order for order in map(_order, texts_long(form, "order")) if order is not None]
        person = {
            "value": f"typed:{patient.model_dump_json()}",
            "patient": patient,
            "said": "",
            "score": None,
            "against": [],
            "pairs": pairs(study.patient, patient),
            "orders": [(order.model_dump_json(), order) for order in orders],
            "changes": changes(study, patient, orders[0] if orders else None),
            "checked": True,
        }
        return await render(
            request, "study/person.html", person=person, study=study, may_decide=True, who=who
        )

    @router.post("/{study_id}/comments")
    async def comment(request: Request, study_id: str, who: Principal = Caller) -> Response:
        form = await read_form(request)
        case, _ = await visible_case(kit.documents, who, study_id)
        if who.kind != "account":
            raise Forbidden("not-allowed", "Only people with an account can write here.")
        said = text(form, "text", 2000)
        if said:
            inside = is_physician(who)
            made = Comment(
                id=random_id(),
                study_id=case.id,
                account_id=who.account.id,
                account=who.account.name,
                time=kit.clock(),
                text=said,
                for_sender=not inside or text(form, "for_sender") == "yes",
            )
            await kit.documents.save(COMMENTS, made)
            live.changed(case.id)
        if request.headers.get("hx-request"):
            return await page(request, who, study_id, part="comments")
        return see_other(request, f"/studies/{study_id}#comments")

    @router.get("/{study_id}/download")
    async def download(request: Request, study_id: str, who: Principal = Caller) -> Response:
        case, _ = await visible_case(kit.documents, who, study_id)
        await _taken_along(kit, who, case)
        return see_other(request, f"/dicomweb/study/{case.id}/archive")

    return router


async def _taken_along(kit: Kit, who: Principal, case: Case) -> None:
    """Into the audit trail. Raises Forbidden for whom may only look."""
    if not may_download(who):
        raise Forbidden("view-only", "These images may be looked at, but not taken along.")
    await record(kit, who, "downloaded", "study", case.id)


async def _values(
    kit: Kit, settings: PortalSettings, who: Principal, case: Case, study: Study
) -> dict[str, Any]:
    """Everything the page shows; what the reader may not know is not among it."""
    inside, may_decide = is_physician(who), who.may(Role.APPROVE)
    shown = detail(case, study, staff=inside)
    verdict = last(case)
    current = verdict is not None and not outdated(verdict, study)
    known = await destination_names(kit) if may_decide else []
    account = await kit.identity.account(study.sender.id) if may_decide else None
    preferred = (await kit.identity.effective(account)).destinations if account is not None else []
    audience = await kit.documents.get(AUDIENCES, case.id)
    waits = await kit.documents.get(HELD, case.id) if may_decide else None
    expiry = await kit.documents.get(EXPIRIES, case.id) if inside else None
    overdue = timedelta(hours=settings.overdue_hours)
    sent = await _sent(kit, who, case)
    return {
        "who": who,
        "case": case,
        "study": study,
        "series": sorted(study.series, key=_by_number),
        "shown": shown,
        "inside": inside,
        "staff": sees_all(who),
        "may_decide": may_decide,
        "may_download": may_download(who),
        "chip": worklist.state_chip(case, staff=sees_all(who)),
        "overdue": sees_all(who) and worklist.is_overdue(case, kit.clock(), overdue),
        "people": _people(case, study) if inside else [],
        "decision": shown.decision if current else None,
        "known": known,
        "preset": default_destinations(preferred, known),
        "held": waits,
        "held_request": _held_request(waits),
        "leaves_at": expiry.due_at if expiry is not None and expiry.state == "announced" else None,
        "way": way(case),
        "way_names": WAY,
        "audience": audience,
        "sent": [track for track in sent if track.purpose or track.note or track.urgency == "urgent"],
        "awaited": min(_AWAITED, sum(track.tally.document for track in sent)),
        "comments": await _comments(kit, case.id, everything=inside),
        "shares": await shares_of(kit, case.id) if inside else [],
        "seen": await _seen(kit, case.id) if inside else [],
        "share_days": settings.share_days,
        "undo_seconds": settings.undo_seconds,
    }


async def _sent(kit: Kit, who: Principal, case: Case) -> list[Track]:
    """The submissions that brought it, the newest first: all of them for those inside, else the reader's own.
    Who came by a link reads none."""
    if who.kind != "account":
        return []
    found = [await kit.documents.get(TRACKS, submission) for submission in sent_in(case)[-_SENT_READ:]]
    return [
        track
        for track in reversed(found)
        if track is not None
        and track.sender is not None
        and (is_physician(who) or track.sender_id == who.account.id)
    ][:_SENT_SHOWN]


def _by_number(series: SeriesSummary) -> tuple[int, str]:
    return int(series.number) if series.number.isdecimal() else 1_000_000, series.series_instance_uid


def _people(case: Case, study: Study) -> list[dict[str, Any]]:
    """The candidates as the page shows them: the likeliest first, and chosen where it is likely."""
    groups = people(case.match)
    verdict = last(case)
    target = verdict.decision.target if verdict is not None and verdict.decision.action == "approve" else None
    found = []
    for number, rows in enumerate(groups):
        first = rows[0]
        orders = [(row.order_key or "", row.order) for row in rows if row.order is not None]
        found.append(
            {
                "value": f"candidate:{first.patient_key}",
                "patient": first.patient,
                "said": _said(case, first),
                "score": first.score,
                "against": [_FIELD_NAMES.get(name, name) for name in first.contradictions],
                "pairs": pairs(study.patient, first.patient),
                "orders": orders,
                "changes": changes(study, first.patient, first.order),
                "checked": first.patient == target
                if target is not None
                else number == 0 and first.score >= 0.5,
            }
        )
    return found


def _said(case: Case, candidate: Candidate) -> str:
    certain = case.match is not None and case.match.certainty == "certain" and case.match.chosen is not None
    if (
        certain
        and case.match
        and case.match.chosen
        and case.match.chosen.patient_key == candidate.patient_key
    ):
        return "Certain by its identifiers"
    return likelihood(candidate.score)


def _held_request(held: Held | None) -> dict[str, str] | None:
    """What is being decided, in the terms of the page: action and whom it names."""
    if held is None:
        return None
    asked = decide.Request.model_validate_json(held.request)
    person = asked.target.patient.name if isinstance(asked.target, Typed) else ""
    return {"action": asked.action, "person": person}


async def _comments(kit: Kit, study_id: str, *, everything: bool) -> list[Comment]:
    page = await kit.documents.find(
        COMMENTS, {"study_id": study_id}, order="time", descending=True, limit=_COMMENTS_SHOWN
    )
    return [one for one in reversed(page.items) if everything or one.for_sender]


async def _seen(kit: Kit, study_id: str) -> list[tuple[str, Any]]:
    """Who looked at the study, each with the last time."""
    page = await kit.documents.find(AUDIT, {"object_id": study_id}, order="time", descending=True, limit=200)
    latest: dict[str, Any] = {}
    for entry in page.items:
        if entry.action in {"saw", "viewed"}:
            latest.setdefault(entry.account, entry.time)
    return list(latest.items())[:_SEEN_SHOWN]


def _request(form: FormData) -> decide.Request:
    """The decision a form asks for. Raises Refused where the form was tampered with."""
    action, target_text = text(form, "action"), text(form, "target", 2000)
    target: Any = None
    order: str | Order | None = None
    if action == "approve":
        kind, _, value = target_text.partition(":")
        if target_text == "as-sent":
            target = "as-sent"
        elif kind == "candidate":
            target = Chosen(patient_key=value)
            order = text(form, f"order-{value}", 200) or None
        elif kind == "typed":
            target = Typed(patient=_patient(value))
            order = _order(text(form, "order-typed", 4000))
    try:
        return decide.Request(
            action=action,
            study_revision=int(text(form, "study_revision", 12) or 0),
            match_revision=int(text(form, "match_revision", 12) or 0),
            target=target,
            order=order,
            destinations=texts(form, "destination") if action == "approve" else [],
            reason=text(form, "reason", 500),
        )
    except (ValidationError, ValueError):
        raise _tampered() from None


def _patient(value: str) -> Demographics:
    try:
        return Demographics.model_validate_json(value)
    except ValidationError:
        raise _tampered() from None


def _order(value: str) -> Order | None:
    with suppress(ValidationError):
        return Order.model_validate_json(value) if value.startswith("{") else None
    return None


def texts_long(form: FormData, name: str) -> list[str]:
    return [value[:4000] for value in form.getlist(name)[:50] if isinstance(value, str)]


def _tampered() -> Refused:
    return Refused("bad-form", "Something on this page is not as it should be. Open it again, please.")
