"""WADO-RS: headers in the DICOM JSON model or in XML, without pixels (PS3.18 10.4.1.1.2)."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import groupby

from fastapi import APIRouter, Request, Response

from kit.dicom.headerjson import BULK
from kit.dicom.nativexml import native_xml
from kit.objects.port import Objects
from kit.service import Kit
from services.view.answers import in_parts, not_modified, tag, text
from services.view.library import Library, Located
from services.view.models import ViewStudy
from services.view.rules.accept import MULTIPART, NotAcceptable, ranges
from services.view.rules.multipart import Part
from services.view.scopes import InScope, Scope
from services.view.viewed import Views

JSON, XML = "application/dicom+json", "application/dicom+xml"
_BLOCK = 1024 * 1024


def routes(kit: Kit, library: Library, views: Views) -> APIRouter:
    router = APIRouter()

    async def answer(
        scope: Scope, request: Request, study: ViewStudy, found: Sequence[Located], *about: str
    ) -> Response:
        await views.note(scope, study)
        media = _media(request)
        packs = [(pack.id, pack.skipped) for pack in study.packs]
        etag = tag("metadata", media, scope.url, study.id, packs, *about)
        unchanged = not_modified(request, etag)
        if unchanged is not None:
            return unchanged
        place = f"{scope.url}/studies/{study.study_instance_uid}"
        if media == JSON:
            return text(request, _array(kit.objects, place, found), JSON, etag)
        documents = await asyncio.to_thread(_documents, kit.objects, place, found)
        parts = [Part(XML, len(document)) for document in documents]
        return in_parts(XML, parts, (iter([document]) for document in documents), etag)

    @router.get("/studies/{study}/metadata")
    async def study_metadata(study: str, request: Request, scope: InScope) -> Response:
        one = await library.study(scope, study)
        return await answer(scope, request, one, await library.instances(one))

    @router.get("/studies/{study}/series/{series}/metadata")
    async def series_metadata(study: str, series: str, request: Request, scope: InScope) -> Response:
        one = await library.study(scope, study)
        return await answer(scope, request, one, await library.instances(one, series), series)

    @router.get("/studies/{study}/series/{series}/instances/{instance}/metadata")
    async def instance_metadata(
        study: str, series: str, instance: str, request: Request, scope: InScope
    ) -> Response:
        one, found = await library.instance(scope, study, series, instance)
        return await answer(scope, request, one, [found], instance)

    return router


def _media(request: Request) -> str:
    taken = ranges(request.headers.getlist("accept"), request.query_params.get("accept", ""))
    for one in taken:
        if one.kind in (JSON, "application/json", "application/*", "*/*"):
            return JSON
        if one.kind == MULTIPART and one.part == XML:
            return XML
    raise NotAcceptable


def _headers(objects: Objects, place: str, found: Sequence[Located]) -> Iterator[bytes]:
    """Headers of all, those that lie together read together; values left out get their address."""
    for _, group in groupby(found, key=lambda one: one.index.index_key):
        run = list(group)
        texts = run[0].index.headers(objects, [one.entry.position for one in run])
        for one, header in zip(run, texts, strict=True):
            yield _with_addresses(header, place, one) if BULK in header else header


def _with_addresses(header: bytes, place: str, found: Located) -> bytes:
    entry = found.entry
    full = f"{place}/series/{entry.series_instance_uid}/instances/{entry.sop_instance_uid}/bulkdata/"
    return header.replace(BULK, b'"BulkDataURI":"' + full.encode())


def _array(objects: Objects, place: str, found: Sequence[Located]) -> Iterator[bytes]:
    """One JSON array, in blocks."""
    before, size = b"[", 0
    block: list[bytes] = []
    for header in _headers(objects, place, found):
        block += (before, header)
        before = b","
        size += len(header)
        if size > _BLOCK:
            yield b"".join(block)
            block, size = [], 0
    yield b"".join((*block, b"]"))


def _documents(objects: Objects, place: str, found: Sequence[Located]) -> list[bytes]:
    return [native_xml(header) for header in _headers(objects, place, found)]
