"""WADO-RS: pictures, videos and documents for people (PS3.18 10.4.1.1.3, 10.4.1.1.4)."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Iterable, Sequence

import orjson
from fastapi import APIRouter, Request, Response

from kit.dicom.look import Look, Media
from kit.errors import NotFound
from kit.service import Kit
from services.view.answers import as_they_come, embeddable, not_modified, stored, tag, whole
from services.view.frames import frame_numbers
from services.view.library import Library, Located
from services.view.models import ViewStudy
from services.view.pictures import Pictures
from services.view.rules.accept import (
    MPEG2,
    MULTIPART,
    VIDEO,
    MediaRange,
    NotAcceptable,
    first_of,
    ranges,
)
from services.view.rules.choosing import largest_series, middle_frame, middle_of
from services.view.rules.looks import look_of
from services.view.rules.multipart import Part
from services.view.scopes import InScope
from services.view.streams import stream_of
from services.view.viewed import Views

_IMAGES: tuple[Media, ...] = ("image/jpeg", "image/png")
_PDF_STORAGE = "1.2.840.10008.5.1.4.1.1.104.1"
_DOCUMENT = "00420011"
_MOST = 2000


def routes(kit: Kit, library: Library, views: Views, pictures: Pictures) -> APIRouter:
    router = APIRouter()

    async def many(request: Request, study: ViewStudy, found: Sequence[Located]) -> Response:
        """All of them in parts, or the one that stands for them as a single picture."""
        taken = _taken(request)
        for one in taken:
            if one.kind == MULTIPART:
                media = first_of([MediaRange(one.part or "image/jpeg")], _IMAGES)
                if media is not None:
                    shown = [image for image in found if _pictured(image)][:_MOST]
                    return as_they_come(
                        media, _each(pictures, study, shown, look_of(request.query_params, media))
                    )
            elif first_of([one], _IMAGES) is not None:
                chosen = middle_of(largest_series(found))
                return await picture(request, study, chosen, middle_frame(chosen.entry), taken)
        raise NotAcceptable

    async def picture(
        request: Request, study: ViewStudy, found: Located, frame: int, taken: Sequence[MediaRange]
    ) -> Response:
        media = first_of(taken, _IMAGES)
        if media is None or not _pictured(found):
            raise NotAcceptable("There is no picture of this in a form you accept.")
        look = look_of(request.query_params, media)
        etag = tag("rendered", found.entry.sha256, frame, look)
        return not_modified(request, etag) or whole(
            request, await pictures.get(study.id, found, frame, look), media, etag, vary="accept"
        )

    @router.get("/studies/{study}/series/{series}/instances/{instance}/rendered")
    async def instance_rendered(
        study: str, series: str, instance: str, request: Request, scope: InScope
    ) -> Response:
        of_study, found = await library.instance(scope, study, series, instance)
        await views.note(scope, of_study)
        taken = _taken(request)
        if found.entry.transfer_syntax in VIDEO:
            return await _video(kit, request, found, taken)
        if found.entry.sop_class_uid == _PDF_STORAGE:
            return await _document(kit, request, found, taken)
        return await picture(request, of_study, found, 0, taken)

    @router.get("/studies/{study}/series/{series}/instances/{instance}/frames/{numbers}/rendered")
    async def frames_rendered(
        study: str, series: str, instance: str, numbers: str, request: Request, scope: InScope
    ) -> Response:
        of_study, found = await library.instance(scope, study, series, instance)
        wanted = frame_numbers(numbers, found.entry.frames.count)
        await views.note(scope, of_study)
        taken = _taken(request)
        if len(wanted) == 1 and first_of(taken, _IMAGES) is not None:
            return await picture(request, of_study, found, wanted[0], taken)
        for one in taken:
            media = first_of([MediaRange(one.part or "*/*")], _IMAGES)
            if one.kind in (MULTIPART, "multipart/*", "*/*") and media is not None and _pictured(found):
                look = look_of(request.query_params, media)
                return as_they_come(media, _frames(pictures, of_study, found, wanted, look))
        raise NotAcceptable

    @router.get("/studies/{study}/series/{series}/rendered")
    async def series_rendered(study: str, series: str, request: Request, scope: InScope) -> Response:
        of_study = await library.study(scope, study)
        await views.note(scope, of_study)
        return await many(request, of_study, await library.instances(of_study, series))

    @router.get("/studies/{study}/rendered")
    async def study_rendered(study: str, request: Request, scope: InScope) -> Response:
        of_study = await library.study(scope, study)
        await views.note(scope, of_study)
        return await many(request, of_study, await library.instances(of_study))

    return router


def _taken(request: Request) -> list[MediaRange]:
    return ranges(request.headers.getlist("accept"), request.query_params.get("accept", ""))


def _pictured(found: Located) -> bool:
    return found.entry.frames.count > 0 and found.entry.transfer_syntax not in VIDEO


async def _each(
    pictures: Pictures, study: ViewStudy, found: Sequence[Located], look: Look
) -> AsyncIterator[tuple[Part, Iterable[bytes]]]:
    for one in found:
        try:
            made = await pictures.get(study.id, one, 0, look)
        except NotAcceptable:
            continue
        yield Part(look.media, len(made)), [made]


async def _frames(
    pictures: Pictures, study: ViewStudy, found: Located, wanted: Sequence[int], look: Look
) -> AsyncIterator[tuple[Part, Iterable[bytes]]]:
    for frame in wanted:
        made = await pictures.get(study.id, found, frame, look)
        yield Part(look.media, len(made)), [made]


async def _video(kit: Kit, request: Request, found: Located, taken: Sequence[MediaRange]) -> Response:
    """The film as it is stored, by range: players ask for pieces."""
    media = "video/mpeg" if found.entry.transfer_syntax in MPEG2 else "video/mp4"
    if first_of(taken, (media,)) is None:
        raise NotAcceptable("This is a film: it can be had as video/mp4 or video/mpeg.")
    spans = await asyncio.to_thread(stream_of, kit.objects, found)
    etag = tag("video", found.entry.sha256)
    return not_modified(request, etag) or stored(
        request, kit.objects, found.pack.key, spans, media, etag, vary="accept"
    )


async def _document(kit: Kit, request: Request, found: Located, taken: Sequence[MediaRange]) -> Response:
    media, entry = "application/pdf", found.entry
    if first_of(taken, (media,)) is None:
        raise NotAcceptable("This is a document: it can be had as application/pdf.")
    etag = tag("pdf", entry.sha256)
    unchanged = not_modified(request, etag)
    if unchanged is not None:
        return unchanged
    header = orjson.loads(await asyncio.to_thread(found.index.header_json, kit.objects, entry.position))
    value = header.get(_DOCUMENT, {})
    place = value.get("BulkDataURI", "").removeprefix("bulkdata/")
    if place:
        span = entry.bulk[int(place)]
        spans = [(entry.offset + span.offset, span.length)]
        return embeddable(stored(request, kit.objects, found.pack.key, spans, media, etag))
    if "InlineBinary" not in value:
        raise NotFound("no-document", "This document is empty.")
    return embeddable(whole(request, b64decode(value["InlineBinary"]), media, etag))
