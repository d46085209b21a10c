"""Wiring of the portal service."""

from functools import partial

from kit.service import Kit, Service
from schemas.forward import ForwardFailed, StudyForwarded
from schemas.match import StudyMatched, StudyUnmatched
from schemas.portal import StudyDecided
from schemas.upload import SubmissionOpened
from schemas.validate import StudyArrived, StudyUpdated, SubmissionValidated
from services.portal import admin, api, audience, audit, handlers
from services.portal.pages import account, language, login, static, welcome
from services.portal.pages.frame import error_page
from services.portal.people.cleaning import Cleaner
from services.portal.settings import PortalSettings

GROUP = "portal"


def build(kit: Kit, settings: PortalSettings) -> Service:
    study = partial(handlers.study_changed, kit, policies=settings.policies)
    match = partial(handlers.match_changed, kit, policies=settings.policies)
    validated = partial(handlers.submission_validated, kit, policies=settings.policies)
    kit.bus.subscribe(StudyArrived, GROUP, study)
    kit.bus.subscribe(StudyUpdated, GROUP, study)
    kit.bus.subscribe(StudyMatched, GROUP, match)
    kit.bus.subscribe(StudyUnmatched, GROUP, match)
    kit.bus.subscribe(SubmissionValidated, GROUP, validated)
    kit.bus.subscribe(StudyForwarded, GROUP, partial(handlers.study_forwarded, kit))
    kit.bus.subscribe(ForwardFailed, GROUP, partial(handlers.forward_failed, kit))
    kit.bus.subscribe(SubmissionOpened, "portal-audience", partial(audience.submission_opened, kit))
    kit.bus.subscribe(StudyArrived, "portal-audience", partial(audience.study_changed, kit))
    kit.bus.subscribe(StudyUpdated, "portal-audience", partial(audience.study_changed, kit))
    kit.bus.subscribe(StudyDecided, "portal-audit", partial(audit.decided, kit))
    cleaner = Cleaner(kit)
    pages = [
        static.routes(),
        language.routes(),
        login.routes(kit, settings),
        welcome.routes(kit, settings),
        account.routes(kit, settings),
    ]
    return Service(
        "portal",
        routers=[
            api.routes(kit, settings.page_limit),
            admin.routes(kit),
            static.routes(),
            language.routes(),
            *pages,
        ],
        start=[cleaner.start],
        stop=[cleaner.stop],
        error_page=error_page,
    )
