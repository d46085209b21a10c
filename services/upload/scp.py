"""The DICOM door: Verification, Storage, and Storage Commitment results, on one port (PS3.4 annexes
A, B, J). Wiring only; build_door is called by app.py."""

import logging
import ssl
from pathlib import Path

from kit.dicom.network import (
    CONGESTED,
    UNKNOWN_CALLED_AE,
    UNKNOWN_CALLING_AE,
    AssociationServer,
    Limits,
    Peer,
    Rejection,
    Timeouts,
    server_context,
)
from kit.errors import AnteroomError, TransientError
from kit.identity import Principal
from kit.saying import say
from kit.service import Kit
from schemas.shapes import Said
from services.upload.scp_peers import Peers, Recheck
from services.upload.scp_session import ScpSession
from services.upload.sessions import Sessions
from services.upload.settings import UploadSettings

_log = logging.getLogger(__name__)


class DoorClosed(AnteroomError):
    """The door can't open: its port is taken, or its TLS files are wrong. The text says what to do."""


class Door:
    def __init__(self, kit: Kit, settings: UploadSettings, sessions: Sessions) -> None:
        self._kit = kit
        self._settings = settings
        self._sessions = sessions
        self._peers = Peers(kit)
        self._server: AssociationServer | None = None

    async def start(self) -> None:
        """After the sessions. Raises DoorClosed."""
        settings = self._settings
        server = AssociationServer(
            settings.dicom_host,
            settings.dicom_port,
            self._admit,
            limits=Limits(
                associations=settings.dicom_max_associations,
                per_address=settings.dicom_max_per_address,
                dataset=2 * settings.max_file_bytes,
            ),
            timeouts=Timeouts(idle=settings.dicom_idle_s, minimum_rate=settings.min_rate),
            tls=_tls(settings),
        )
        try:
            await server.start()
        except OSError as error:
            raise DoorClosed(
                f"The DICOM port {settings.dicom_host}:{settings.dicom_port} can't be opened "
                f"({error.strerror}). Choose another with --dicom-port."
            ) from error
        self._server = server
        _log.info("DICOM door listens on %s:%d", settings.dicom_host, server.port)

    async def stop(self) -> None:
        """Before the sessions: instances under way are finished, up to 10 s."""
        if self._server is not None:
            await self._server.stop()

    async def check(self) -> Said | None:
        if self._server is None or not self._server.listening:
            form = "The DICOM door is closed. Look for its port and certificate settings in [upload]."
            return say("dicom-door-closed", form)
        return None

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        return self._server.port if self._server is not None else self._settings.dicom_port

    async def _admit(self, peer: Peer) -> ScpSession | Rejection:
        called = self._settings.dicom_called_ae
        if called and peer.called_ae != called:
            return UNKNOWN_CALLED_AE
        try:
            account = await self._peers.sender(peer)
            reports = await self._peers.is_destination(peer)
        except TransientError as error:
            _log.warning("DICOM associations are turned away for the moment: %s", error)
            return CONGESTED
        if account is None and not reports:
            return UNKNOWN_CALLING_AE
        return ScpSession(
            peer,
            Principal(account).sender("dicom") if account is not None else None,
            Recheck(self._kit, self._peers, peer, account) if account is not None else None,
            reports=reports,
            sessions=self._sessions,
            bus=self._kit.bus,
            clock=self._kit.clock,
        )


def build_door(kit: Kit, settings: UploadSettings, sessions: Sessions) -> Door | None:
    """None when the settings have no DICOM port (-1)."""
    return Door(kit, settings, sessions) if settings.dicom_port >= 0 else None


def _tls(settings: UploadSettings) -> ssl.SSLContext | None:
    if not settings.dicom_tls_cert:
        if settings.require_client_certificate:
            raise DoorClosed("Client certificates need TLS: set dicom_tls_cert and _key in [upload].")
        return None
    try:
        return server_context(
            Path(settings.dicom_tls_cert),
            Path(settings.dicom_tls_key or settings.dicom_tls_cert),
            ca=Path(settings.dicom_tls_ca) if settings.dicom_tls_ca else None,
            require_client=settings.require_client_certificate,
        )
    except (OSError, ValueError) as error:
        raise DoorClosed(
            "The DICOM door's TLS files can't be used. Check dicom_tls_cert, dicom_tls_key and dicom_tls_ca "
            "in [upload]."
        ) from error
