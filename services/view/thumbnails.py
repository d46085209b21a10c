"""WADO-RS thumbnails (PS3.18 10.4.1.1.4): always a picture, a tile with a word where there is none."""

import asyncio
from collections.abc import Sequence

import orjson
from fastapi import APIRouter, Request, Response

from kit.dicom.look import Look, Media
from kit.service import Kit
from services.view.answers import not_modified, tag, whole
from services.view.frames import frame_numbers
from services.view.library import Library, Located
from services.view.models import ViewStudy
from services.view.pictures import Pictures
from services.view.rules.accept import VIDEO, NotAcceptable, first_of, ranges
from services.view.rules.choosing import largest_series, middle_frame, middle_of
from services.view.rules.looks import look_of
from services.view.scopes import InScope
from services.view.viewed import Views

_IMAGES: tuple[Media, ...] = ("image/jpeg", "image/png")
_WORDS = {"DOC": "PDF", "": "?"}


def routes(kit: Kit, library: Library, views: Views, pictures: Pictures) -> APIRouter:
    """Looking at the thumbnail of a study, series or instance is not recorded as looking at the study;
    going through its frames is."""
    router = APIRouter()

    async def answer(
        request: Request, study: ViewStudy, found: Sequence[Located], frame: int | None = None
    ) -> Response:
        taken = ranges(request.headers.getlist("accept"), request.query_params.get("accept", ""))
        media = first_of(taken, _IMAGES)
        if media is None:
            raise NotAcceptable("Thumbnails are JPEG or PNG pictures.")
        look = look_of(request.query_params, media, thumbnail=True)
        chosen = middle_of(largest_series(found))
        number = middle_frame(chosen.entry) if frame is None else frame
        etag = tag("thumbnail", chosen.entry.sha256, number, look)
        return not_modified(request, etag) or whole(
            request, await _picture(study, chosen, number, look), media, etag, vary="accept"
        )

    async def _picture(study: ViewStudy, found: Located, frame: int, look: Look) -> bytes:
        if found.entry.frames.count and found.entry.transfer_syntax not in VIDEO:
            try:
                return await pictures.get(study.id, found, frame, look)
            except NotAcceptable:
                return await pictures.tile("?", look)
        if found.entry.transfer_syntax in VIDEO:
            return await pictures.tile("\u25b6", look)
        text = await asyncio.to_thread(found.index.header_json, kit.objects, found.entry.position)
        modality = (orjson.loads(text).get("00080060", {}).get("Value") or [""])[0]
        return await pictures.tile(_WORDS.get(str(modality), str(modality)), look)

    @router.get("/studies/{study}/thumbnail")
    async def study_thumbnail(study: str, request: Request, scope: InScope) -> Response:
        one = await library.study(scope, study)
        return await answer(request, one, await library.instances(one))

    @router.get("/studies/{study}/series/{series}/thumbnail")
    async def series_thumbnail(study: str, series: str, request: Request, scope: InScope) -> Response:
        one = await library.study(scope, study)
        return await answer(request, one, await library.instances(one, series))

    @router.get("/studies/{study}/series/{series}/instances/{instance}/thumbnail")
    async def instance_thumbnail(
        study: str, series: str, instance: str, request: Request, scope: InScope
    ) -> Response:
        one, found = await library.instance(scope, study, series, instance)
        return await answer(request, one, [found])

    @router.get("/studies/{study}/series/{series}/instances/{instance}/frames/{numbers}/thumbnail")
    async def frame_thumbnail(
        study: str, series: str, instance: str, numbers: str, request: Request, scope: InScope
    ) -> Response:
        one, found = await library.instance(scope, study, series, instance)
        wanted = frame_numbers(numbers, found.entry.frames.count)
        await views.note(scope, one)
        return await answer(request, one, [found], wanted[0])

    return router
