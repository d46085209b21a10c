"""Wiring of the match service."""

import logging
import ssl
from datetime import timedelta
from zoneinfo import ZoneInfo

from kit.dicom.worklist import Worklist
from kit.errors import PermanentError
from kit.hl7.server import Limits, MllpServer
from kit.metrics import HL7_MESSAGES
from kit.saying import say
from kit.service import Kit, Service
from schemas.match import Hl7Received, PatientChanged, PatientMerged
from schemas.portal import StudyDecided
from schemas.shapes import Said
from schemas.validate import StudyArrived, StudyUpdated
from services.match.api import routes
from services.match.handlers import Handlers
from services.match.mllp import Hl7Door
from services.match.settings import MatchSettings
from services.match.tasks import WorklistTasks

_log = logging.getLogger(__name__)


def build(kit: Kit, settings: MatchSettings) -> Service:
    zone = _zone(kit.site.zone)
    worklist = _worklist(kit, settings)
    handlers = Handlers(
        kit.documents,
        kit.clock,
        zone=zone,
        default_issuer=kit.site.default_issuer,
        accession_from_filler=settings.hl7_accession_from_filler,
        worklist=worklist,
    )
    kit.bus.subscribe(Hl7Received, "match", handlers.learn)
    kit.bus.subscribe(StudyArrived, "match", handlers.study_came)
    kit.bus.subscribe(StudyUpdated, "match", handlers.study_came)
    kit.bus.subscribe(StudyDecided, "match", handlers.study_decided)
    kit.bus.subscribe(PatientChanged, "match", handlers.patient_changed)
    kit.bus.subscribe(PatientMerged, "match", handlers.patient_merged)

    for verdict in ("AA", "AE", "AR"):
        # from 0 on, so that the first refusals count as an increase
        HL7_MESSAGES.labels(verdict)
    door = Hl7Door(kit.bus, kit.clock, zone=zone, default_issuer=kit.site.default_issuer)
    server = MllpServer(
        door.answer,
        allow=settings.hl7_allow,
        limits=Limits(
            max_bytes=settings.hl7_message_bytes,
            connections=settings.hl7_connections,
            within_s=settings.hl7_message_seconds,
        ),
        tls=_tls(settings),
    )

    async def listen() -> None:
        try:
            await server.start(settings.hl7_host, settings.hl7_port)
        except OSError as error:
            raise PermanentError(
                f"The HL7 port {settings.hl7_port} on {settings.hl7_host} can't be opened "
                f"({error.strerror}). Free it, or set another one with --hl7-port or match.hl7_port."
            ) from error
        _log.info("HL7 by MLLP is taken on %s:%d", settings.hl7_host, server.port)

    async def check() -> Said | None:
        if server.listening:
            return None
        return say("hl7-door-closed", "The HL7 door is closed: see match.hl7_port in the settings.")

    service = Service(
        name="match",
        routers=[routes(kit.documents, door, server)],
    )
    if settings.hl7_port >= 0:
        service.start.append(listen)
        service.stop.append(server.stop)
        service.doors["HL7"] = lambda: f"{settings.hl7_host}:{server.port}"
        service.checks["hl7-door"] = check
    if worklist is not None:
        service.start.append(worklist.runner.start)
        service.stop.append(worklist.runner.stop)
    return service


def _worklist(kit: Kit, settings: MatchSettings) -> WorklistTasks | None:
    if not settings.worklist_host:
        return None
    worklist = Worklist(
        settings.worklist_host,
        settings.worklist_port,
        called_ae=settings.worklist_called_ae,
        calling_ae=settings.worklist_calling_ae,
        timeout=settings.worklist_timeout_seconds,
    )
    return WorklistTasks(
        kit.documents,
        kit.clock,
        worklist,
        default_issuer=kit.site.default_issuer,
        again=timedelta(minutes=settings.worklist_again_minutes),
        days=settings.worklist_days,
        owner=kit.owner,
        exclusive=kit.exclusive,
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise PermanentError(
            f"site.zone is {name!r}, which is no time zone such as Europe/Vienna."
        ) from error


def _tls(settings: MatchSettings) -> ssl.SSLContext | None:
    if settings.hl7_tls_certificate is None:
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(settings.hl7_tls_certificate, settings.hl7_tls_key)
        if settings.hl7_tls_client_ca is not None:
            context.load_verify_locations(settings.hl7_tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        raise PermanentError(
            "The TLS files of the HL7 door can't be used: check match.hl7_tls_certificate, hl7_tls_key "
            f"and hl7_tls_client_ca ({error.strerror or error})."
        ) from error
    return context
