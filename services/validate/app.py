"""Wiring of the validate service."""

import asyncio
from functools import partial

from kit.saying import say
from kit.scan.clamav import ClamAddress, ClamScanner
from kit.service import Kit, Service
from schemas.portal import StudyExpired, SubmissionExpired
from schemas.shapes import Said
from schemas.upload import BatchReceived, SubmissionClosed, SubmissionOpened
from schemas.validate import (
    BatchExpanded,
    BatchSettled,
    PackMerged,
    PackWritten,
    StudyRemoved,
    SubmissionCleared,
)
from services.validate import api, clearing, documents, gauges, handlers
from services.validate.known import KnownInstances
from services.validate.settings import ValidateSettings
from services.validate.tasks import BatchReader

GROUP = "validate"


def build(kit: Kit, settings: ValidateSettings) -> Service:
    reader = BatchReader(kit, settings)
    known = KnownInstances(kit.objects)
    wake = reader.runner.poke
    kit.bus.subscribe(BatchReceived, GROUP, partial(handlers.batch_received, kit, wake))
    kit.bus.subscribe(BatchExpanded, GROUP, partial(handlers.batch_expanded, kit, wake))
    kit.bus.subscribe(PackWritten, GROUP, partial(handlers.pack_written, kit, known))
    kit.bus.subscribe(PackMerged, GROUP, partial(handlers.pack_merged, kit))
    kit.bus.subscribe(StudyExpired, GROUP, partial(handlers.study_expired, kit))
    kit.bus.subscribe(StudyRemoved, GROUP, partial(handlers.clear_removed, kit))
    kit.bus.subscribe(SubmissionExpired, GROUP, partial(clearing.submission_expired, kit))
    kit.bus.subscribe(SubmissionCleared, GROUP, partial(clearing.clear_files, kit))
    kit.bus.subscribe(SubmissionOpened, GROUP, partial(handlers.submission_opened, kit))
    kit.bus.subscribe(SubmissionClosed, GROUP, partial(handlers.submission_closed, kit))
    kit.bus.subscribe(BatchSettled, GROUP, partial(handlers.batch_settled, kit))
    kit.bus.subscribe(BatchSettled, "validate-incoming", partial(handlers.clear_incoming, kit))
    return Service(
        "validate",
        routers=[api.routes(kit, settings), documents.routes(kit)],
        start=[reader.start],
        stop=[reader.runner.stop],
        checks={"antivirus": partial(_antivirus, settings)} if settings.clamav_host else {},
        gauges={
            "waiting files": partial(gauges.measure_waiting, kit),
            **({"antivirus": partial(gauges.measure_scanner, settings)} if settings.clamav_host else {}),
        },
    )


async def _antivirus(settings: ValidateSettings) -> Said | None:
    address = ClamAddress(settings.clamav_host, settings.clamav_port)
    if await asyncio.to_thread(ClamScanner(address).is_well):
        return None
    return say(
        "scanner-silent",
        "The virus scanner does not answer. Files wait until it does. "
        "Start clamd, or correct clamav_host and clamav_port in [validate].",
    )
