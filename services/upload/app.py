"""Wiring of the upload service."""

import asyncio

from kit.metrics import OLDEST_SPOOLED
from kit.saying import say
from kit.service import Kit, Service
from kit.spool import Spool
from kit.tasks import TaskRunner
from schemas.shapes import Said
from services.upload import api, send, stow, tus
from services.upload.body import Failures, body_route
from services.upload.documents import SUBMISSIONS, UPLOADS, SubmissionDoc
from services.upload.keeping import Keeping
from services.upload.scp import build_door
from services.upload.sessions import KIND as SESSION
from services.upload.sessions import Sessions
from services.upload.settings import UploadSettings
from services.upload.submissions import Submissions
from services.upload.uploads import Uploads


def build(kit: Kit, settings: UploadSettings) -> Service:
    spool = Spool(kit.scratch / "upload", reserve=settings.reserve_bytes)
    submissions = Submissions(kit.documents, kit.clock, settings, lambda: silence_tasks.poke())
    uploads = Uploads(
        kit.documents,
        kit.objects,
        submissions,
        spool,
        kit.clock,
        settings,
        kit.exclusive,
        lambda: upload_tasks.poke(),
    )
    sessions = Sessions(
        spool, kit.objects, submissions, settings, None if kit.exclusive else lambda name: keeping.keep(name)
    )
    keeping = Keeping(kit.scratch / "upload-open", submissions, sessions.is_live, kit.clock)
    sending = send.Sending(spool, kit.objects, submissions, settings)
    door = build_door(kit, settings, sessions)

    async def silence(submission: SubmissionDoc) -> None:
        await submissions.close_when_due(submission, sessions.is_live)

    upload_tasks = TaskRunner(
        kit.documents,
        UPLOADS,
        work=uploads.work,
        give_up=uploads.give_up,
        clock=kit.clock,
        owner=kit.owner,
        exclusive=kit.exclusive,
    )
    silence_tasks = TaskRunner(
        kit.documents,
        SUBMISSIONS,
        work=silence,
        give_up=submissions.give_up,
        clock=kit.clock,
        owner=kit.owner,
        exclusive=kit.exclusive,
    )

    async def recover() -> None:
        """Before any door opens: what a crash left in the spool is finished or thrown away."""
        recovered = await spool.recover(SESSION)
        await sending.recover(recovered)
        await sessions.start(recovered)

    async def room() -> Said | None:
        if await asyncio.to_thread(spool.has_room):
            return None
        form = "The disk is nearly full: nothing more is taken in. Make room on the data volume."
        return say("disk-nearly-full", form)

    async def measure_spool() -> None:
        oldest = await asyncio.to_thread(spool.oldest, SESSION)
        OLDEST_SPOOLED.set(0 if oldest is None else max(0.0, kit.clock().timestamp() - oldest))

    routes = body_route(Failures(settings.max_failures))
    service = Service(
        name="upload",
        routers=[
            api.build_router(kit.documents, submissions, settings, routes),
            tus.build_router(uploads, settings, routes),
            send.build_router(sending, routes),
            stow.build_router(sessions, settings, kit.site.url, routes),
        ],
        start=[recover, keeping.start, upload_tasks.start, silence_tasks.start],
        stop=[sessions.stop, keeping.stop, upload_tasks.stop, silence_tasks.stop],
        checks={"disk space": room},
        gauges={"spool": measure_spool},
        needs_objects=door is None,
    )
    if door is not None:
        service.start.append(door.start)
        service.stop.insert(0, door.stop)
        service.checks["dicom-door"] = door.check
        service.doors["DICOM"] = lambda: f"{settings.dicom_host}:{door.port}"
    return service
