"""What the quick look on a study's page needs: a list of the images of one series, small and at once, and
the image in its middle, which the page asks for before it knows the list."""

import asyncio
import gzip
from collections import OrderedDict
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from kit.access import may_view_id
from kit.dicom.look import Look
from kit.dicom.pixels import read_frame
from kit.documents.port import Documents
from kit.errors import NotFound
from kit.identity import Principal
from kit.objects.port import Objects
from kit.service import Caller, Kit
from services.view.answers import headers_for, not_modified, tag
from services.view.library import Indexes, Located
from services.view.models import STUDIES, ViewStudy
from services.view.pictures import Pictures
from services.view.rules.looking import image_of, in_order, middle_page
from services.view.scopes import Scope
from services.view.viewed import Views

_SMALL = 2000
_KEPT = 16
DRAWN = Look("image/jpeg", quality=90)
"""How the page asks for what it can't draw by itself."""


@dataclass(frozen=True)
class Listed:
    """`content`: the list as it is answered. `middle`: the instance whose `frame`, from 0, is shown first,
    as plain pixels where `raw`; None where there is nothing to be seen."""

    content: bytes
    count: int
    middle: Located | None
    frame: int
    raw: bool


class Lists:
    """Lists of series, each made once for all who ask at the same time; the last few are kept."""

    def __init__(self, objects: Objects, indexes: Indexes) -> None:
        self._objects = objects
        self._indexes = indexes
        self._kept: OrderedDict[tuple[str, int, str], asyncio.Task[Listed]] = OrderedDict()

    async def get(self, study: ViewStudy, series_uid: str) -> Listed:
        """Raises NotFound."""
        key = (study.id, study.revision, series_uid)
        task = self._kept.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._kept[key] = asyncio.create_task(self._made(study, series_uid))
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return await asyncio.shield(task)

    async def _made(self, study: ViewStudy, series_uid: str) -> Listed:
        found = [
            one
            for one in await instances_of(self._indexes, study)
            if one.entry.series_instance_uid == series_uid
        ]
        if not found:
            raise NotFound("no-series", "There are no such images here.")
        images = await asyncio.to_thread(_images, self._objects, found)
        uid, frame, raw = middle_page(images) if images else ("", 0, False)
        middle = next((one for one in found if one.entry.sop_instance_uid == uid), None)
        return Listed(orjson.dumps({"images": images}), len(images), middle, frame, raw)


def routes(kit: Kit, lists: Lists, views: Views, pictures: Pictures) -> APIRouter:
    router = APIRouter(prefix="/dicomweb/study/{study_id}", tags=["quick look"])

    async def asked(who: Principal, study_id: str, series_uid: str) -> tuple[ViewStudy, Listed]:
        study = await one_study(kit.documents, who, study_id)
        listed = await lists.get(study, series_uid)
        await views.note(Scope(who, "", "study", study.id), study)
        return study, listed

    @router.get("/quicklook/{series_uid}")
    async def quicklook(
        study_id: str, series_uid: str, request: Request, who: Principal = Caller
    ) -> Response:
        """`images` of the series in the order to leaf through them, each with what drawing it takes."""
        study, listed = await asked(who, study_id, series_uid)
        headers = {"cache-control": "private, no-cache", "vary": "accept-encoding"}
        etag = f'"{study.revision}-{listed.count}"'
        headers["etag"] = etag
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        content = listed.content
        if len(content) > _SMALL and "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            content = await asyncio.to_thread(gzip.compress, content, 3)
        return Response(content, media_type="application/json", headers=headers)

    @router.get("/quicklook/{series_uid}/middle")
    async def middle(study_id: str, series_uid: str, request: Request, who: Principal = Caller) -> Response:
        """The frame in the middle of that list, as the page would ask for it: plain pixels where it draws
        them by itself, else a picture. Content-Location says which frame it is."""
        study, listed = await asked(who, study_id, series_uid)
        found, frame = listed.middle, listed.frame
        if found is None:
            raise NotFound("no-image", "There is no image in this series.")
        place = f"/dicomweb/study/{study.id}/studies/{study.study_instance_uid}/series/{series_uid}"
        place += f"/instances/{found.entry.sop_instance_uid}/frames/{frame + 1}"
        etag = tag("middle", found.entry.sha256, frame)
        unchanged = not_modified(request, etag)
        if unchanged is not None:
            return unchanged
        if listed.raw:
            body = await asyncio.to_thread(read_frame, kit.objects, found.pack.key, found.entry, frame)
            headers = headers_for(etag, content_location=place)
            return Response(body, media_type="application/octet-stream", headers=headers)
        body = await pictures.get(study.id, found, frame, DRAWN)
        headers = headers_for(etag, content_location=f"{place}/rendered?quality=90")
        return Response(body, media_type="image/jpeg", headers=headers)

    return router


async def one_study(documents: Documents, who: Principal, study_id: str) -> ViewStudy:
    """Raises NotFound, with the same words for what is not there and for what is not theirs to see."""
    study = await documents.get(STUDIES, study_id) if len(study_id) <= 64 else None
    if study is None or not await may_view_id(documents, who, study.id):
        raise NotFound("no-study", "There is no such study, or it is not yours to see.")
    return study


async def instances_of(indexes: Indexes, study: ViewStudy) -> list[Located]:
    """Every instance of the study once, in the order they are stored in."""
    found: dict[str, Located] = {}
    for pack in study.packs:
        skipped = set(pack.skipped)
        index = await indexes.get(pack)
        for entry in index.entries:
            if entry.position not in skipped:
                found.setdefault(entry.sop_instance_uid, Located(pack, index, entry))
    return list(found.values())


def _images(objects: Objects, found: list[Located]) -> list[dict[str, Any]]:
    images = []
    for _, group in groupby(found, key=lambda one: one.index.index_key):
        run = list(group)
        texts = run[0].index.headers(objects, [one.entry.position for one in run])
        for one, text in zip(run, texts, strict=True):
            entry = one.entry
            if entry.frames.count:
                header = orjson.loads(text)
                images.append(
                    image_of(
                        header,
                        uid=entry.sop_instance_uid,
                        syntax=entry.transfer_syntax,
                        frames=entry.frames.count,
                    )
                )
    ordered = in_order(images)
    for image in ordered:
        del image["position"], image["orientation"]
    return ordered
