"""What is measured of the files that were not scanned and read yet."""

import asyncio
from datetime import datetime, timedelta

from kit.documents.port import Range
from kit.metrics import NEIGHBOUR_UP, OLDEST_BATCH
from kit.scan.clamav import ClamAddress, ClamScanner
from kit.service import Kit
from services.validate.models import BATCHES
from services.validate.settings import ValidateSettings

_LOOKED_AT = 1000
"""Batches are read in about the order of their arrival, so the oldest is among those due first."""


async def measure_waiting(kit: Kit) -> None:
    now = kit.clock()
    unread = {"due_at": Range(high=now + timedelta(days=1))}
    rows = await kit.documents.project(BATCHES, ["received_at"], unread, order="due_at", limit=_LOOKED_AT)
    oldest = min((datetime.fromisoformat(row["received_at"]) for row in rows), default=now)
    OLDEST_BATCH.set((now - oldest).total_seconds())


async def measure_scanner(settings: ValidateSettings) -> None:
    address = ClamAddress(settings.clamav_host, settings.clamav_port)
    well = await asyncio.to_thread(ClamScanner(address).is_well)
    NEIGHBOUR_UP.labels("antivirus", "").set(well)
