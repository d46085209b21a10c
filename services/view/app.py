"""Wiring of the view service."""

from dataclasses import replace
from functools import partial

from fastapi import APIRouter

from kit.service import Kit, Service
from kit.tasks import TaskRunner
from kit.workers import Workers
from schemas.validate import StudyArrived, StudyRemoved, StudyUpdated
from services.view import (
    archive,
    frames,
    handlers,
    metadata,
    preparing,
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

GROUP, PICTURES = "view", "view-pictures"


def build(kit: Kit, settings: ViewSettings) -> Service:
    kit = replace(kit, workers=Workers(settings.helpers))  # who looks at images never waits for validation
    changed = partial(handlers.study_changed, kit.documents)
    kit.bus.subscribe(StudyArrived, GROUP, changed)
    kit.bus.subscribe(StudyUpdated, GROUP, changed)
    indexes = Indexes(kit.objects, settings.cached_instances)
    library = Library(kit.documents, indexes, kit.clock)
    lists = quicklook.Lists(kit.objects, indexes)
    views = Views(kit)
    pictures = Pictures(kit.objects, kit.workers, kit.scratch / "pictures", settings.picture_bytes)

    async def study_removed(event: StudyRemoved) -> None:
        await handlers.study_removed(kit.documents, event)
        await pictures.removed(event)

    kit.bus.subscribe(StudyRemoved, GROUP, study_removed)
    kit.bus.tail(StudyRemoved, pictures.heard)
    preparation = preparing.Preparing(kit.documents, library, lists, pictures, settings.thumbnails)
    tasks = TaskRunner(
        kit.documents,
        preparing.PREPARATIONS,
        work=preparation.work,
        give_up=preparation.give_up,
        clock=kit.clock,
        owner=kit.owner,
        exclusive=kit.exclusive,
        concurrency=1,
    )
    prepare = partial(preparing.study_changed, kit.documents, kit.clock, tasks.poke)
    kit.bus.subscribe(StudyArrived, PICTURES, prepare)
    kit.bus.subscribe(StudyUpdated, PICTURES, prepare)
    dicomweb = APIRouter(tags=["dicomweb"])
    for prefix in PREFIXES:
        for router in (
            frames.routes(kit, library, views),
            thumbnails.routes(kit, library, views, pictures),
            metadata.routes(kit, library, views),
            rendered.routes(kit, library, views, pictures),
            retrieve.routes(kit, library, views),
            qido.routes(kit, library, views, settings),
        ):
            dicomweb.include_router(router, prefix=prefix)
    return Service(
        "view",
        routers=[
            dicomweb,
            quicklook.routes(kit, lists, views, pictures),
            archive.routes(kit, indexes, views),
            viewer.routes(library),
        ],
        start=[partial(pictures.start, kit.documents), tasks.start],
        stop=[tasks.stop, pictures.stop, kit.workers.stop],
    )
