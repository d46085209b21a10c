"""Wiring of the portal service."""

from functools import partial

from fastapi import APIRouter

from kit.service import Kit, Service
from schemas.forward import DeliveryRetried, ForwardFailed, StudyForwarded
from schemas.match import StudyMatched, StudyUnmatched
from schemas.portal import StudyDecided, StudyExpired, SubmissionExpired
from schemas.upload import SubmissionClosed, SubmissionOpened
from schemas.validate import (
    StudyArrived,
    StudyRemoved,
    StudyUpdated,
    SubmissionCleared,
    SubmissionValidated,
)
from schemas.view import StudyViewed
from services.portal import (
    admin,
    api,
    audience,
    audit,
    directory,
    groups_api,
    handlers,
    requesting_api,
    retention_api,
)
from services.portal.gauges import measure_retention, measure_waiting
from services.portal.holding import holding
from services.portal.live import Live
from services.portal.pages import (
    account,
    choosing,
    inbox,
    language,
    login,
    presence,
    sending,
    sharing,
    static,
    study,
    tracking,
    welcome,
)
from services.portal.pages import admin as administration
from services.portal.pages.frame import error_page
from services.portal.people.cleaning import Cleaner
from services.portal.retention import Retention
from services.portal.settings import PortalSettings
from services.portal.spreading import Spreading
from services.portal.tracking import handlers as tracks
from services.portal.witness import Witness

GROUP = "portal"
_LARGEST_BODY = 8 << 20
"""Bytes of a form or of what a program sends, counted while they come. Images go to upload."""


def build(kit: Kit, settings: PortalSettings) -> Service:
    live = Live(kit.documents)
    spreading = Spreading(kit, live)
    studied = partial(handlers.study_changed, kit, policies=settings.policies)
    matched = partial(handlers.match_changed, kit, policies=settings.policies)
    validated = partial(handlers.submission_validated, kit, policies=settings.policies)
    forwarded, failed = partial(handlers.study_forwarded, kit), partial(handlers.forward_failed, kit)
    kit.bus.subscribe(StudyArrived, GROUP, live.after(studied, lambda e: [e.study.id]))
    kit.bus.subscribe(StudyUpdated, GROUP, live.after(studied, lambda e: [e.study.id]))
    kit.bus.subscribe(StudyMatched, GROUP, live.after(matched, lambda e: [e.match.study_id]))
    kit.bus.subscribe(StudyUnmatched, GROUP, live.after(matched, lambda e: [e.match.study_id]))
    kit.bus.subscribe(SubmissionValidated, GROUP, live.after(validated, lambda e: e.studies))
    kit.bus.subscribe(StudyForwarded, GROUP, live.after(forwarded, lambda e: [e.study_id]))
    kit.bus.subscribe(ForwardFailed, GROUP, live.after(failed, lambda e: [e.study_id]))
    # Who may see a study hears of it once that is known: groups have no order among each other.
    seen_by = live.after(partial(audience.study_changed, kit), lambda e: [e.study.id])
    kit.bus.subscribe(SubmissionOpened, "portal-audience", partial(audience.submission_opened, kit))
    kit.bus.subscribe(StudyArrived, "portal-audience", seen_by)
    kit.bus.subscribe(StudyUpdated, "portal-audience", seen_by)
    kit.bus.subscribe(
        StudyDecided, "portal-audit", live.after(partial(audit.decided, kit), lambda e: [e.decision.study_id])
    )
    opened = partial(handlers.study_viewed, kit)
    kit.bus.subscribe(StudyViewed, GROUP, live.after(opened, lambda e: [e.study_id]))
    kit.bus.subscribe(StudyViewed, "portal-audit", partial(audit.viewed, kit))
    kit.bus.subscribe(DeliveryRetried, "portal-audit", partial(audit.retried, kit))
    retention = Retention(kit)
    leaves = live.after(partial(audit.expired, kit), lambda e: [e.study_id])
    kit.bus.subscribe(StudyExpired, "portal-audit", leaves)
    kit.bus.subscribe(StudyRemoved, "portal-audit", partial(audit.removed, kit))
    kit.bus.subscribe(SubmissionExpired, "portal-audit", partial(audit.files_expired, kit))
    kit.bus.subscribe(SubmissionCleared, "portal-audit", partial(audit.files_removed, kit))
    left = live.after(partial(handlers.study_removed, kit), lambda e: [e.study_id])
    kit.bus.subscribe(StudyRemoved, GROUP, left)
    kit.bus.subscribe(StudyRemoved, "portal-retention", retention.removed)
    kit.bus.subscribe(SubmissionCleared, "portal-retention", retention.files.cleared)
    held = holding(kit, settings, live)
    begun, over = partial(tracks.submission_opened, kit), partial(tracks.submission_closed, kit)
    checked = partial(tracks.submission_validated, kit)
    kit.bus.subscribe(SubmissionOpened, "portal-tracks", live.after(begun, lambda e: [e.submission_id]))
    kit.bus.subscribe(SubmissionClosed, "portal-tracks", live.after(over, lambda e: [e.submission_id]))
    kit.bus.subscribe(SubmissionValidated, "portal-tracks", live.after(checked, lambda e: [e.submission_id]))
    kit.bus.subscribe(StudyRemoved, "portal-tracks", partial(tracks.study_removed, kit))
    cleared = live.after(partial(tracks.submission_cleared, kit), lambda e: [e.submission_id])
    kit.bus.subscribe(SubmissionCleared, "portal-tracks", cleared)
    running = (Witness(kit), spreading, Cleaner(kit), held.runner, retention)
    pages = [
        static.routes(),
        language.routes(),
        presence.routes(kit),
        login.routes(kit, settings),
        welcome.routes(kit, settings),
        account.routes(kit, settings),
        administration.routes(kit, settings, retention),
        sending.routes(kit, settings),
        tracking.routes(kit, live),
        choosing.routes(kit),
        inbox.routes(kit, settings, live, held),
        study.routes(kit, settings, live, held, retention),
        sharing.routes(kit, settings, live),
    ]
    return Service(
        "portal",
        routers=_bounded(
            api.routes(kit, settings.page_limit),
            admin.routes(kit),
            directory.routes(kit),
            groups_api.routes(kit),
            requesting_api.routes(kit),
            retention_api.routes(kit, retention),
            *pages,
        ),
        start=[one.start for one in running],
        stop=[*(one.stop for one in reversed(running)), live.stop],
        gauges={
            "waiting studies": partial(measure_waiting, kit),
            "retention": partial(measure_retention, kit),
        },
        error_page=error_page,
    )


def _bounded(*routers: APIRouter) -> list[APIRouter]:
    whole = APIRouter(max_body_size=_LARGEST_BODY)
    for router in routers:
        whole.include_router(router)
    return [whole]
