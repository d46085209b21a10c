"""Noting the end of the audit trail in the log: copies of the log elsewhere bear witness to what it was.

Whoever cuts entries off the end is found by an end that was noted: `anteroom audit verify --since` takes it.
"""

import asyncio
import contextlib
import logging

from kit.errors import TransientError
from kit.service import Kit
from services.portal.rules.chain import Head
from services.portal.trail import end

_log = logging.getLogger(__name__)
_EVERY_S = 60.0


class Witness:
    """Every minute in which it moved, and when the process stops."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._noted = Head()
        self._task: asyncio.Task[None] | None = None

    async def note(self) -> None:
        try:
            head = await end(self._kit)
        except TransientError as error:
            _log.info("the end of the audit trail is noted later: %s", error)
            return
        if head != self._noted:
            _log.info("the end of the audit trail is %d:%s", head.seq, head.hash)
            self._noted = head

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="portal-witness")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            await self.note()

    async def _run(self) -> None:
        while True:
            await self.note()
            await asyncio.sleep(_EVERY_S)
