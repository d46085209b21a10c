"""Wiring of the view service."""

from functools import partial

from kit.service import Kit, Service
from schemas.validate import StudyArrived, StudyUpdated
from services.view import archive, handlers, qido, quicklook, wado
from services.view.library import Indexes, Library
from services.view.settings import ViewSettings

GROUP = "view"


def build(kit: Kit, settings: ViewSettings) -> Service:
    changed = partial(handlers.study_changed, kit.documents)
    kit.bus.subscribe(StudyArrived, GROUP, changed)
    kit.bus.subscribe(StudyUpdated, GROUP, changed)
    indexes = Indexes(kit.objects, settings.cached_instances)
    library = Library(kit.documents, indexes)
    return Service(
        "view",
        routers=[
            qido.routes(kit, library, settings),
            wado.routes(kit, library),
            quicklook.routes(kit, indexes),
            archive.routes(kit, indexes),
        ],
    )
