"""Wiring of the view service."""

from functools import partial

from fastapi import APIRouter

from kit.service import Kit, Service
from schemas.validate import StudyArrived, StudyUpdated
from services.view import (
    archive,
    frames,
    handlers,
    metadata,
    qido,
    quicklook,
    rendered,
    retrieve,
    thumbnails,
    viewer,
)
from services.view.library import Indexes, Library
from services.view.pictures import Pictures
from services.view.scopes import PREFIXES
from services.view.settings import ViewSettings
from services.view.viewed import Views

GROUP = "view"


def build(kit: Kit, settings: ViewSettings) -> Service:
    changed = partial(handlers.study_changed, kit.documents)
    kit.bus.subscribe(StudyArrived, GROUP, changed)
    kit.bus.subscribe(StudyUpdated, GROUP, changed)
    indexes = Indexes(kit.objects, settings.cached_instances)
    library = Library(kit.documents, indexes, kit.clock)
    views = Views(kit)
    pictures = Pictures(kit.objects, kit.workers, kit.scratch / "pictures", settings.picture_bytes)
    dicomweb = APIRouter(tags=["dicomweb"])
    for prefix in PREFIXES:
        for router in (
            frames.routes(kit, library, views),
            thumbnails.routes(kit, library, pictures),
            metadata.routes(kit, library, views),
            rendered.routes(kit, library, views, pictures),
            retrieve.routes(kit, library, views),
            qido.routes(kit, library, settings),
        ):
            dicomweb.include_router(router, prefix=prefix)
    return Service(
        "view",
        routers=[dicomweb, quicklook.routes(kit, indexes), archive.routes(kit, indexes), viewer.routes()],
        start=[pictures.start],
    )
