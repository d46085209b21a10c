"""WADO-RS: studies, series and instances (PS3.18 10.4), as they are stored or in another transfer syntax."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from kit.access import may_download
from kit.dicom.errors import BrokenDicom
from kit.dicom.pack import read_instance_bytes
from kit.dicom.transcode import transcode
from kit.errors import Forbidden
from kit.service import Kit
from kit.workers import WorkerDied, WorkerTimeout
from services.view.answers import as_they_come, headers_for, in_parts, not_modified, stored, tag
from services.view.library import Library, Located
from services.view.rules.accept import DICOM, Form, NotAcceptable, instance_form, ranges
from services.view.rules.multipart import Part
from services.view.scopes import InScope, Scope
from services.view.viewed import Views

_TIME_S = 120.0
_BLOCK = 1 << 20
_SHOWN_ALONE = (
    "1.2.840.10008.5.1.4.1.1.11.",
    "1.2.840.10008.5.1.4.1.1.30",
    "1.2.840.10008.5.1.4.1.1.66",
    "1.2.840.10008.5.1.4.1.1.88.",
    "1.2.840.10008.5.1.4.1.1.104.",
    "1.2.840.10008.5.1.4.1.1.481.3",
)
"""Storage classes that a viewer shows only by reading the whole instance: presentation states, maps,
segmentations, reports, documents, structures."""


def routes(kit: Kit, library: Library, views: Views) -> APIRouter:
    router = APIRouter()

    async def answer(scope: Scope, request: Request, study_uid: str, series_uid: str | None) -> Response:
        _require_download(scope)
        study = await library.study(scope, study_uid)
        found = await library.instances(study, series_uid)
        await views.note(scope, study)
        etag = tag("instances", study.id, study.revision, series_uid, request.headers.get("accept"))
        return not_modified(request, etag) or _instances(kit, request, found, etag)

    @router.get("/studies/{study}")
    async def study(study: str, request: Request, scope: InScope) -> Response:
        return await answer(scope, request, study, None)

    @router.get("/studies/{study}/series/{series}")
    async def series(study: str, series: str, request: Request, scope: InScope) -> Response:
        return await answer(scope, request, study, series)

    @router.get("/studies/{study}/series/{series}/instances/{instance}")
    async def instance(study: str, series: str, instance: str, request: Request, scope: InScope) -> Response:
        of_study, found = await library.instance(scope, study, series, instance)
        if not found.entry.sop_class_uid.startswith(_SHOWN_ALONE):
            _require_download(scope)
        await views.note(scope, of_study)
        etag = tag("instance", found.entry.sha256, request.headers.get("accept"))
        return not_modified(request, etag) or await _instance(kit, request, found, etag)

    return router


def _require_download(scope: Scope) -> None:
    if not may_download(scope.who):
        raise Forbidden("view-only", "These images may be looked at, but not taken along.")


def _form(request: Request, found: Sequence[Located]) -> Form:
    taken = ranges(request.headers.getlist("accept"), request.query_params.get("accept", ""))
    return instance_form(taken, [one.entry.transfer_syntax for one in found])


def _media(syntax: str) -> str:
    return f"{DICOM}; transfer-syntax={syntax}"


async def _instance(kit: Kit, request: Request, found: Located, etag: str) -> Response:
    form, entry = _form(request, [found]), found.entry
    if form.syntax is None or form.syntax == entry.transfer_syntax:
        if not form.single:
            return _instances(kit, request, [found], etag)
        spans = [(entry.offset, entry.length)]
        media = _media(entry.transfer_syntax)
        return stored(request, kit.objects, found.pack.key, spans, media, etag)
    size, blocks = await _rewritten(kit, found, form.syntax)
    media = _media(form.syntax)
    if form.single:
        headers = headers_for(etag, content_length=str(size))
        return StreamingResponse(blocks, headers=headers, media_type=media)
    return in_parts(DICOM, [Part(media, size)], [blocks], etag)


def _instances(kit: Kit, request: Request, found: Sequence[Located], etag: str) -> Response:
    form = _form(request, found)
    if form.syntax is None or all(one.entry.transfer_syntax == form.syntax for one in found):
        parts = [Part(_media(one.entry.transfer_syntax), one.entry.length) for one in found]
        bodies = (read_instance_bytes(kit.objects, one.pack.key, one.entry) for one in found)
        return in_parts(DICOM, parts, bodies, etag)
    return as_they_come(DICOM, _each_rewritten(kit, found, form.syntax))


async def _each_rewritten(
    kit: Kit, found: Sequence[Located], syntax: str
) -> AsyncIterator[tuple[Part, Iterator[bytes]]]:
    for one in found:
        if one.entry.transfer_syntax == syntax:
            body = read_instance_bytes(kit.objects, one.pack.key, one.entry)
            yield Part(_media(syntax), one.entry.length), body
        else:
            size, blocks = await _rewritten(kit, one, syntax)
            yield Part(_media(syntax), size), blocks


async def _rewritten(kit: Kit, found: Located, syntax: str) -> tuple[int, Iterator[bytes]]:
    """The instance in that transfer syntax: its size, and its blocks out of a file that is gone with them.
    Raises NotAcceptable where it can't be decompressed."""
    kit.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="view-", dir=kit.scratch) as folder:
        path = Path(folder) / "instance"
        job = (kit.objects, found.pack.key, found.entry, syntax, path)
        try:
            await kit.workers.run(_TIME_S, transcode, *job)
        except (BrokenDicom, WorkerDied, WorkerTimeout) as error:
            text = "An image can't be decompressed. Ask for it as it is stored (transfer-syntax=*)."
            raise NotAcceptable(text) from error
        file = path.open("rb")
    return os.fstat(file.fileno()).st_size, _blocks(file)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        yield from iter(lambda: file.read(_BLOCK), b"")
