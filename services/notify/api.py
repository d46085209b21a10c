"""HTTP: the notices for an administrator, and the door for Twilio's delivery reports."""

from datetime import datetime
from urllib.parse import parse_qsl

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from kit.errors import Forbidden, NotFound, Refused, TooLarge
from kit.identity import Principal, Role
from kit.service import Caller
from kit.sms import Twilio
from schemas.shapes import Said
from services.notify.models import NOTICES, Entry, Notice, State
from services.notify.ports import Ports
from services.notify.reports import report

_REPORT_LIMIT = 16 * 1024
STATUS_PATH = "/api/twilio/status"


class NoticeView(BaseModel):
    id: str
    kind: str
    channel: str
    state: str
    recipient: str
    about: str
    created_at: datetime
    sent_at: datetime | None
    next_try_at: datetime | None
    attempts: int
    error: str
    said: Said | None = Field(default=None, description="the error, for readers of any language")
    provider_id: str
    provider_status: str
    combined_into: str
    ledger: list[Entry]


class NoticePage(BaseModel):
    items: list[NoticeView]
    cursor: str | None


def notices_router(ports: Ports) -> APIRouter:
    router = APIRouter(tags=["notify"])

    @router.get("/api/notices")
    async def notices(
        caller: Principal = Caller,
        state: State | None = None,
        limit: int = Query(default=50, ge=1, le=200),
        cursor: str | None = Query(default=None, max_length=500),
    ) -> NoticePage:
        """Notices, newest first; for administrators."""
        caller.require(Role.ADMIN)
        page = await ports.documents.find(
            NOTICES,
            {"state": state.value} if state else None,
            order="created_at",
            descending=True,
            limit=limit,
            cursor=cursor,
        )
        return NoticePage(items=[_view(notice) for notice in page.items], cursor=page.cursor)

    return router


def twilio_router(ports: Ports, twilio: Twilio) -> APIRouter:
    """Only where SMS with delivery reports is configured: there is no such address otherwise."""
    router = APIRouter(tags=["notify"])

    @router.post(STATUS_PATH, status_code=204, include_in_schema=False)
    async def status(request: Request) -> Response:
        body = await _bounded(request)
        try:
            fields = dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=100))
        except ValueError:
            raise Refused("bad-report", "This is no form that Twilio sends.") from None
        # Twilio signs the address it was given, whatever a proxy made of it on the way.
        url = ports.status_url + (f"?{request.url.query}" if request.url.query else "")
        if not twilio.signed(url, fields, request.headers.get("x-twilio-signature", "")):
            raise Forbidden("bad-signature", "The signature of this report is not valid.")
        notice_id = request.query_params.get("notice", "")
        if len(notice_id) != 32:
            raise NotFound("no-notice", "There is no such notice.")
        await report(ports, notice_id, fields.get("MessageStatus", ""), fields.get("ErrorCode", ""))
        return Response(status_code=204)

    return router


async def _bounded(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _REPORT_LIMIT:
            raise TooLarge("too-large", "A delivery report is never this large.")
    return bytes(body)


def _view(notice: Notice) -> NoticeView:
    return NoticeView(
        id=notice.id,
        kind=notice.kind.value,
        channel=notice.channel,
        state=notice.state.value,
        recipient=notice.recipient,
        about=notice.about,
        created_at=notice.created_at,
        sent_at=notice.sent_at,
        next_try_at=None if notice.state is State.COMBINED else notice.due_at,
        attempts=notice.attempts,
        error=notice.last_error,
        said=notice.trouble,
        provider_id=notice.provider_id,
        provider_status=notice.provider_status,
        combined_into=notice.combined_into,
        ledger=notice.ledger,
    )
