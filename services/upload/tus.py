"""The resumable door: tus 1.0.0 (https://tus.io/protocols/resumable-upload) under /api/uploads."""

import base64
import binascii
from email.utils import format_datetime

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from kit.errors import Refused, Unsupported
from kit.identity import Principal, Role
from kit.service import Caller
from services.upload import form, ordinals
from services.upload.body import Body
from services.upload.documents import UploadDoc
from services.upload.form import FormBody
from services.upload.parts import ALGORITHMS
from services.upload.refusals import WrongVersion
from services.upload.settings import UploadSettings
from services.upload.uploads import Checksum, Uploads

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
_CONTENT = "application/offset+octet-stream"
_MAX_NUMBER = 16


def build_router(uploads: Uploads, settings: UploadSettings, route_class: type[APIRoute]) -> APIRouter:
    router = APIRouter(prefix="/api/uploads", tags=["upload"], route_class=route_class)

    def body_of(request: Request) -> Body:
        return Body(request, timeout=settings.body_timeout_s, min_rate=settings.min_rate)

    @router.options("")
    async def options() -> Response:
        return Response(
            status_code=204,
            headers={
                "tus-resumable": VERSION,
                "tus-version": VERSION,
                "tus-extension": EXTENSIONS,
                "tus-max-size": str(settings.max_file_bytes),
                "tus-checksum-algorithm": ",".join(ALGORITHMS),
            },
        )

    @router.post("", status_code=201)
    async def create(request: Request, caller: Principal = Caller) -> Response:
        """Creation, and creation-with-upload when the request has a body."""
        caller.require(Role.SEND)
        _check_version(request)
        if "upload-defer-length" in request.headers:
            raise Refused("length-needed", "The length of an upload must be known: send Upload-Length.")
        metadata = _metadata(request.headers.get("upload-metadata", ""))
        upload = await uploads.create(
            caller,
            metadata.get("submission_id", ""),
            ordinals.parse(metadata.get("ordinals", "")),
            _number(request, "upload-length"),
        )
        body = body_of(request)
        if request.headers.get("content-type", "") == _CONTENT and body.declared != 0:
            upload = await uploads.receive(caller, upload.id, 0, body, _checksum(request))
        return Response(status_code=201, headers={**_state(upload), "location": f"/api/uploads/{upload.id}"})

    @router.head("/{upload_id}")
    async def head(request: Request, upload_id: str, caller: Principal = Caller) -> Response:
        caller.require(Role.SEND)
        _check_version(request)
        upload = await uploads.settled(caller, upload_id)
        return Response(
            status_code=200,
            headers={**_state(upload), "upload-length": str(upload.length), "cache-control": "no-store"},
        )

    @router.patch("/{upload_id}", status_code=204)
    async def patch(request: Request, upload_id: str, caller: Principal = Caller) -> Response:
        caller.require(Role.SEND)
        _check_version(request)
        kind = request.headers.get("content-type", "")
        in_form = kind.lower().startswith(form.KIND)
        if not in_form and kind != _CONTENT:
            raise Unsupported("wrong-type", f"Send the bytes with Content-Type: {_CONTENT}.")
        offset = _number(request, "upload-offset")
        body = FormBody(body_of(request), kind) if in_form else body_of(request)
        upload = await uploads.receive(caller, upload_id, offset, body, _checksum(request))
        return Response(status_code=204, headers=_state(upload))

    @router.delete("/{upload_id}", status_code=204)
    async def delete(request: Request, upload_id: str, caller: Principal = Caller) -> Response:
        caller.require(Role.SEND)
        _check_version(request)
        await uploads.terminate(caller, upload_id)
        return Response(status_code=204, headers={"tus-resumable": VERSION})

    @router.post("/{upload_id}", include_in_schema=False)
    async def override(request: Request, upload_id: str, caller: Principal = Caller) -> Response:
        """For senders that can only GET and POST (tus core: X-HTTP-Method-Override)."""
        doors = {"PATCH": patch, "DELETE": delete, "HEAD": head}
        door = doors.get(request.headers.get("x-http-method-override", ""))
        if door is None:
            raise Refused("bad-method", "Use PATCH, HEAD or DELETE on an upload.")
        return await door(request, upload_id, caller)

    return router


def _state(upload: UploadDoc) -> dict[str, str]:
    headers = {"tus-resumable": VERSION, "upload-offset": str(upload.offset)}
    if upload.state == "open":
        headers["upload-expires"] = format_datetime(upload.expires_at, usegmt=True)
    return headers


def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        raise WrongVersion("tus-version", f"This door speaks tus {VERSION}: send Tus-Resumable: {VERSION}.")


def _number(request: Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_NUMBER):
        raise Refused("bad-header", f"The header {header.title()} must be a number of bytes.")
    return int(text)


def _metadata(header: str) -> dict[str, str]:
    """Upload-Metadata: key and base64 value by a blank, pairs by commas. Raises Refused."""
    found = {}
    for pair in header.split(","):
        key, _, value = pair.strip().partition(" ")
        if not key:
            continue
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Refused("bad-metadata", "Upload-Metadata must hold base64 values, as tus has it.") from None
    if not {"submission_id", "ordinals"} <= found.keys():
        raise Refused("bad-metadata", "Upload-Metadata must name the submission_id and the ordinals.")
    return found


def _checksum(request: Request) -> Checksum | None:
    header = request.headers.get("upload-checksum")
    if header is None:
        return None
    algorithm, _, value = header.partition(" ")
    if algorithm not in ALGORITHMS:
        raise Refused("bad-checksum", f"Upload-Checksum knows {', '.join(ALGORITHMS)}.")
    try:
        return Checksum(algorithm, base64.b64decode(value, validate=True))
    except binascii.Error:
        raise Refused("bad-checksum", "Upload-Checksum must be an algorithm and a base64 digest.") from None
