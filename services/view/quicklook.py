"""What the quick look on a study's page needs: a list of the images of one series, small and at once."""

import asyncio
import gzip
from itertools import groupby
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from kit.access import may_view_id
from kit.documents.port import Documents
from kit.errors import NotFound
from kit.identity import Principal
from kit.objects.port import Objects
from kit.service import Caller, Kit
from services.view.library import Indexes, Located
from services.view.models import STUDIES, ViewStudy
from services.view.rules.looking import image_of, in_order
from services.view.scopes import Scope
from services.view.viewed import Views

_SMALL = 2000


def routes(kit: Kit, indexes: Indexes, views: Views) -> APIRouter:
    router = APIRouter(prefix="/dicomweb/study/{study_id}", tags=["quick look"])

    @router.get("/quicklook/{series_uid}")
    async def quicklook(
        study_id: str, series_uid: str, request: Request, who: Principal = Caller
    ) -> Response:
        """`images` of the series in the order to leaf through them, each with what drawing it takes."""
        study = await one_study(kit.documents, who, study_id)
        found = [
            one for one in await instances_of(indexes, study) if one.entry.series_instance_uid == series_uid
        ]
        if not found:
            raise NotFound("no-series", "There are no such images here.")
        await views.note(Scope(who, "", "study", study.id), study)
        images = await asyncio.to_thread(_images, kit.objects, found)
        content = orjson.dumps({"images": images})
        headers = {"cache-control": "private, no-cache", "vary": "accept-encoding"}
        etag = f'"{study.revision}-{len(images)}"'
        headers["etag"] = etag
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        if len(content) > _SMALL and "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            content = await asyncio.to_thread(gzip.compress, content, 3)
        return Response(content, media_type="application/json", headers=headers)

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
