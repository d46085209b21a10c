"""Wiring of the forward service."""

import asyncio
import shutil

from kit.service import Kit, Service
from kit.tasks import TaskRunner
from schemas.portal import StudyDecided
from schemas.upload import CommitmentReported
from services.forward import handlers
from services.forward.api import routes
from services.forward.gauges import Asking
from services.forward.kinds import KINDS
from services.forward.lanes import Lanes
from services.forward.means import Means
from services.forward.models import DELIVERIES, Delivery
from services.forward.prepare import SCRATCH
from services.forward.settings import ForwardSettings
from services.forward.tasks import deliver, give_up


def build(kit: Kit, settings: ForwardSettings) -> Service:
    def lane(destination: str) -> TaskRunner[Delivery]:
        return TaskRunner(
            kit.documents,
            DELIVERIES,
            work=lambda delivery: deliver(means, delivery),
            give_up=lambda delivery, reason: give_up(means, delivery, reason),
            clock=kit.clock,
            owner=kit.owner,
            exclusive=kit.exclusive,
            concurrency=settings.per_destination,
            max_attempts=settings.max_attempts,
            where={"destination": destination},
        )

    lanes = Lanes(kit.documents, lane)
    means = Means(kit, settings, KINDS)

    async def on_study_decided(event: StudyDecided) -> None:
        for destination in await handlers.study_decided(event, kit.documents, kit.clock):
            await lanes.poke(destination)

    async def on_commitment_reported(event: CommitmentReported) -> None:
        await handlers.commitment_reported(event, kit.documents)

    async def clear_scratch() -> None:
        """What a killed process left of conversions."""
        await asyncio.to_thread(shutil.rmtree, kit.scratch / SCRATCH, ignore_errors=True)

    kit.bus.subscribe(StudyDecided, "forward", on_study_decided)
    kit.bus.subscribe(CommitmentReported, "forward", on_commitment_reported)
    return Service(
        name="forward",
        routers=[routes(means, lanes.poke)],
        start=[clear_scratch, lanes.start],
        stop=[lanes.stop],
        gauges={"destinations": Asking(means).measure},
    )
