"""The plain door: files or one ZIP by a single request, all or nothing.

Everything goes into spool files first; one save then opens, fills and closes the submission. A
request that breaks off before that save leaves nothing behind, whatever moment it was.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Literal, get_args

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from kit import acts
from kit.errors import Refused, TooLarge, VersionConflict
from kit.identity import Principal, Role
from kit.ids import derived_id, random_id
from kit.metrics import RECEIVED_BYTES
from kit.objects.port import Objects
from kit.service import Caller
from kit.spool import Chunk, Spool, SpoolFile
from kit.spool_tar import member_name
from schemas.shapes import ObjectPart, Person
from services.upload import ordinals
from services.upload.addressing import check_no_link
from services.upload.body import Body
from services.upload.documents import part_key
from services.upload.multipart import Multipart, Part, header_parameters
from services.upload.refusals import Conflict
from services.upload.settings import UploadSettings
from services.upload.submissions import Batch, Opening, Submissions

KIND = "request"
"""Marks spool files of single requests: what is not registered after a crash is thrown away."""

_FIELD_LIMIT = 4000
_MOST_FIELDS = 100
Urgency = Literal["routine", "urgent"]


class Sent(BaseModel):
    submission: str
    sent: int
    bytes: int
    status: str
    repeated: bool


class Consignment:
    """The files of one request on their way into batches."""

    def __init__(self, spool: Spool, settings: UploadSettings, submission_id: str) -> None:
        self._spool = spool
        self._settings = settings
        self.submission_id = submission_id
        self.files: list[SpoolFile] = []
        self.count = 0
        self.bytes = 0

    async def add(self, path: str, chunks: AsyncIterable[Chunk]) -> None:
        """Raises NoSpace, TooLarge, or what `chunks` raises."""
        if self.count >= self._settings.max_files:
            raise TooLarge("too-many-files", f"More than {self._settings.max_files:,} files in one request.")
        if not self.files or self._full(self.files[-1]):
            owner = {"kind": KIND, "submission_id": self.submission_id}
            self.files.append(await self._spool.open(owner))
        limit = min(self._settings.max_file_bytes, self._settings.max_submission_bytes - self.bytes)
        member = await self.files[-1].append(member_name(self.count, path), chunks, limit=limit, sync=False)
        self.count += 1
        self.bytes += member.size

    def _full(self, file: SpoolFile) -> bool:
        return file.size >= self._settings.batch_bytes or len(file.members) >= self._settings.batch_files

    async def store(self, objects: Objects) -> list[Batch]:
        """Move the batches to where they are read. They count only once they are registered."""
        batches = []
        for file in self.files:
            path = await file.seal()
            key = part_key(self.submission_id, file.id)
            stat = await asyncio.to_thread(objects.adopt, key, path)
            numbers = ordinals.of_numbers(int(member.name.partition("/")[0]) for member in file.members)
            batches.append(Batch(file.id, numbers, (ObjectPart(key=key, size=stat.size),)))
        return batches

    async def forget(self) -> None:
        for file in self.files:
            await file.forget()

    async def discard(self, objects: Objects) -> None:
        for file in self.files:
            await asyncio.to_thread(objects.delete, part_key(self.submission_id, file.id))
        await self.forget()


class Sending:
    def __init__(
        self, spool: Spool, objects: Objects, submissions: Submissions, settings: UploadSettings
    ) -> None:
        self._spool = spool
        self._objects = objects
        self._submissions = submissions
        self._settings = settings
        self._under_way: set[str] = set()

    async def take(self, request: Request, caller: Principal) -> Sent:
        """Raises Refused; then nothing of the request is kept."""
        key = request.headers.get("idempotency-key", "")
        submission_id = derived_id("send", caller.account.id, key) if key else random_id()
        if key and (earlier := await self._submissions.find(submission_id)) is not None:
            return _sent(submission_id, earlier.files, earlier.bytes, repeated=True)
        if submission_id in self._under_way:
            raise Conflict("in-progress", "The same request is under way on another connection. Wait for it.")
        self._under_way.add(submission_id)
        acts.follow(submission_id)
        consignment = Consignment(self._spool, self._settings, submission_id)
        try:
            return await self._take(request, caller, consignment)
        except BaseException:
            if not await self._registered(consignment):
                await consignment.discard(self._objects)
            raise
        finally:
            self._under_way.discard(submission_id)

    async def _take(self, request: Request, caller: Principal, consignment: Consignment) -> Sent:
        settings = self._settings
        body = Body(
            request,
            timeout=settings.body_timeout_s,
            min_rate=settings.min_rate,
            limit=settings.max_submission_bytes,
        )
        self._spool.check_room(body.declared or 0)
        content_type = request.headers.get("content-type", "")
        if content_type.lower().startswith("multipart/form-data"):
            fields = await self._take_form(Multipart(body, content_type), consignment)
        else:
            disposition = header_parameters(request.headers.get("content-disposition", ""))[1]
            await consignment.add(disposition.get("filename", ""), _chunks(body))
            fields = {name: request.query_params.getlist(name) for name in request.query_params}
            if not consignment.bytes:
                raise Refused("no-files", "The request is empty. Send a file as its body.")
        if not consignment.count:
            raise Refused("no-files", "The form holds no file. Send files in form fields named file.")
        opening = _opening(fields)
        draft = self._submissions.draft(
            caller.sender("api"), opening, submission_id=consignment.submission_id
        )
        draft.declared_files = consignment.count
        batches = await consignment.store(self._objects)
        try:
            await self._submissions.save_whole(draft, batches)
        except VersionConflict:
            await consignment.discard(self._objects)
            earlier = await self._submissions.get(consignment.submission_id)
            return _sent(earlier.id, earlier.files, earlier.bytes, repeated=True)
        await consignment.forget()
        RECEIVED_BYTES.labels("post").inc(draft.bytes)
        return _sent(draft.id, draft.files, draft.bytes, repeated=False)

    async def _take_form(self, form: Multipart, consignment: Consignment) -> dict[str, list[str]]:
        fields: dict[str, list[str]] = {}
        async for part in form.parts():
            disposition = part.disposition
            if "filename" in disposition:
                if disposition["filename"] or part.headers.get("content-type"):
                    await consignment.add(disposition["filename"], part.chunks())
                else:
                    await part.skip()
            else:
                await self._take_field(part, disposition.get("name", ""), fields)
        return fields

    async def _take_field(self, part: Part, name: str, fields: dict[str, list[str]]) -> None:
        if sum(len(values) for values in fields.values()) >= _MOST_FIELDS:
            raise Refused("too-many-fields", "The form has too many fields.")
        fields.setdefault(name, []).append((await part.text(_FIELD_LIMIT)).strip())

    async def _registered(self, consignment: Consignment) -> bool:
        """Whether the one save happened although its caller saw an error or was cancelled."""
        submission = await self._submissions.find(consignment.submission_id)
        return submission is not None and any(file.id in submission.batches for file in consignment.files)

    async def recover(self, recovered: list[SpoolFile]) -> None:
        """After a crash: what was registered is forgotten here, everything else is thrown away."""
        for file in recovered:
            if file.owner.get("kind") != KIND:
                continue
            submission_id = file.owner["submission_id"]
            submission = await self._submissions.find(submission_id)
            if submission is None or file.id not in submission.batches:
                await asyncio.to_thread(self._objects.delete, part_key(submission_id, file.id))
            await file.forget()


def build_router(sending: Sending, route_class: type[APIRoute]) -> APIRouter:
    router = APIRouter(tags=["upload"], route_class=route_class)

    @router.post("/api/send", status_code=201, openapi_extra=_BODY)
    @router.put("/api/send", status_code=201, include_in_schema=False)
    async def send(request: Request, response: Response, caller: Principal = Caller) -> Sent:
        """Files as a form (any number), or one file as the body. All of it is taken, or nothing."""
        caller.require(Role.SEND)
        check_no_link(caller)
        sent = await sending.take(request, caller)
        response.status_code = 200 if sent.repeated else 201
        return sent

    return router


_BODY = {
    "requestBody": {
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "note": {"type": "string"},
                        "purpose": {"type": "string"},
                        "urgency": {"type": "string", "enum": list(get_args(Urgency))},
                        "recipient": {"type": "array", "items": {"type": "string"}},
                    },
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        }
    }
}


def _sent(submission_id: str, files: int, size: int, *, repeated: bool) -> Sent:
    return Sent(
        submission=submission_id,
        sent=files,
        bytes=size,
        status=f"/api/submissions/{submission_id}/outcome",
        repeated=repeated,
    )


def _opening(fields: dict[str, list[str]]) -> Opening:
    urgency = (fields.get("urgency") or ["routine"])[-1] or "routine"
    if urgency not in get_args(Urgency):
        raise Refused("bad-urgency", "The urgency is either routine or urgent.")
    addresses = [address for address in fields.get("recipient", []) if address]
    if any("@" not in address or len(address) > 254 for address in addresses):
        raise Refused("bad-recipient", "A recipient must be an email address.")
    return Opening(
        recipients=tuple(Person(email=address) for address in addresses[:50]),
        purpose=(fields.get("purpose") or [""])[-1][:500],
        urgency=urgency,
        note=(fields.get("note") or [""])[-1],
    )


async def _chunks(body: Body) -> AsyncIterator[Chunk]:
    while chunk := await body.read():
        yield chunk
