"""Submissions over HTTP: open, look, ask what is there, close."""

from typing import Any, Literal, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from kit.documents.port import Documents, Where
from kit.errors import NotFound, Refused
from kit.identity import Principal, Role
from kit.service import Caller
from schemas.shapes import Person, Sender
from services.upload import ordinals
from services.upload.addressing import addressed
from services.upload.body import Body
from services.upload.documents import MANIFESTS, SUBMISSIONS, Announced, SubmissionDoc
from services.upload.refusals import too_many_files
from services.upload.settings import UploadSettings
from services.upload.submissions import Opening, Submissions


class SubmissionView(BaseModel):
    """A submission as its sender sees it. files, batches, bytes: what is durable."""

    id: str
    state: Literal["open", "closed"]
    reason: str
    sender: Sender
    recipients: tuple[Person, ...]
    purpose: str
    urgency: str
    note: str
    declared_files: int | None
    declared_bytes: int | None
    files: int
    batches: int
    bytes: int
    opened_at: str
    closed_at: str | None
    batch_bytes: int
    batch_files: int


class SubmissionList(BaseModel):
    items: list[SubmissionView]
    cursor: str | None


class OrdinalsView(BaseModel):
    ordinals: str
    files: int


class ManifestView(BaseModel):
    start: int
    files: list[Announced]
    next: int | None


class Closing(BaseModel):
    incomplete: bool = False


def build_router(
    documents: Documents, submissions: Submissions, settings: UploadSettings, route_class: type[APIRoute]
) -> APIRouter:
    router = APIRouter(prefix="/api/submissions", tags=["upload"], route_class=route_class)

    async def visible(caller: Principal, submission_id: str) -> SubmissionDoc:
        submission = await submissions.get(submission_id)
        if not (submission.account_id == caller.account.id or caller.may(Role.APPROVE)):
            raise NotFound("no-submission", "There is no such submission. Check its id.")
        return submission

    def view(submission: SubmissionDoc) -> SubmissionView:
        plain: dict[str, Any] = submission.model_dump(mode="json", exclude={"batches", "received"})
        return SubmissionView(
            **plain,
            batches=len(submission.batches),
            batch_bytes=settings.batch_bytes,
            batch_files=settings.batch_files,
        )

    @router.post("", status_code=201, openapi_extra=_body_schema(Opening))
    async def open_submission(
        request: Request, response: Response, caller: Principal = Caller
    ) -> SubmissionView:
        caller.require(Role.SEND)
        opening = await _parsed(request, Opening, settings.max_manifest_bytes, settings)
        opening = await addressed(request.app.state.identity, documents, caller, opening)
        sender = caller.sender("api" if caller.session is None else "portal")
        submission, new = await submissions.open(sender, opening)
        response.status_code = 201 if new else 200
        return view(submission)

    @router.get("")
    async def list_submissions(
        caller: Principal = Caller,
        state: Literal["open", "closed"] | None = None,
        limit: int = Query(default=100, ge=1, le=1000),
        cursor: str | None = None,
    ) -> SubmissionList:
        where: Where = {}
        if not caller.may(Role.ADMIN):
            where = {"account_id": caller.account.id}
        if state is not None:
            where = {**where, "state": state}
        page = await documents.find(
            SUBMISSIONS, where, order="opened_at", descending=True, limit=limit, cursor=cursor
        )
        return SubmissionList(items=[view(item) for item in page.items], cursor=page.cursor)

    @router.get("/{submission_id}")
    async def get_submission(submission_id: str, caller: Principal = Caller) -> SubmissionView:
        return view(await visible(caller, submission_id))

    @router.get("/{submission_id}/ordinals")
    async def get_ordinals(submission_id: str, caller: Principal = Caller) -> OrdinalsView:
        """The ordinals whose batches are durable: a client that resumes sends the others."""
        submission = await visible(caller, submission_id)
        return OrdinalsView(ordinals=ordinals.render(submission.received), files=submission.files)

    @router.get("/{submission_id}/manifest")
    async def get_manifest(
        submission_id: str, caller: Principal = Caller, start: int = Query(default=0, ge=0)
    ) -> ManifestView:
        """The announced files from ordinal `start` on (a multiple of 1,000), a thousand a page."""
        submission = await visible(caller, submission_id)
        chunk = await documents.get(MANIFESTS, f"{submission.id}-{start:06d}")
        files = chunk.files if chunk else []
        end = start + len(files)
        more = bool(files) and end < (submission.declared_files or 0)
        return ManifestView(start=start, files=files, next=end if more else None)

    @router.post("/{submission_id}/close", openapi_extra=_body_schema(Closing))
    async def close_submission(
        request: Request, submission_id: str, caller: Principal = Caller
    ) -> SubmissionView:
        caller.require(Role.SEND)
        submission = await submissions.get(submission_id)
        if submission.account_id != caller.account.id:
            raise NotFound("no-submission", "There is no such submission. Check its id.")
        closing = await _parsed(request, Closing, 4096, settings)
        return view(await submissions.close(submission_id, incomplete=closing.incomplete))

    return router


M = TypeVar("M", bound=BaseModel)


async def _parsed(request: Request, model: type[M], limit: int, settings: UploadSettings) -> M:
    """The JSON body, read with a bound. An empty one is {}. Raises Refused."""
    body = Body(request, timeout=settings.body_timeout_s, min_rate=settings.min_rate, limit=limit)
    text = await body.whole()
    _check_count(text, settings.max_files)
    try:
        return model.model_validate_json(text or b"{}")
    except ValidationError as error:
        places = sorted({".".join(str(step) for step in item["loc"]) or "body" for item in error.errors()})
        shown = ", ".join(places[:5])
        raise Refused("invalid", f"These fields are missing or not in the expected form: {shown}.") from None


def _check_count(text: bytes, most: int) -> None:
    """Before it is parsed: millions of tiny values take forty times the memory of their text. A quote
    within a path is escaped, so this key is counted exactly; commas within paths are allowed for."""
    if text.count(b'"size"') > most or text.count(b",") > 10 * most + 1000:
        raise too_many_files(most)


def _body_schema(model: type[BaseModel]) -> dict[str, Any]:
    return {"requestBody": {"content": {"application/json": {"schema": model.model_json_schema()}}}}
