"""Submissions whose files come into this process's spool are closed by this process, and by no other.

Of several upload processes only this one knows whether files that were acknowledged still wait here. Which
submissions these are stands in a local folder that outlives the process, beside the spool. Others close them
only long after they should have been (`abandoned_s`): when the spool must be gone.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from kit.clock import Clock
from kit.durable import sync
from kit.errors import TransientError, VersionConflict
from services.upload.submissions import Submissions

_log = logging.getLogger(__name__)

_LOOKS_EVERY_S = 2.0


class Keeping:
    """`is_live(id)`: whether files of that submission are under way in this process; when not, files that
    come from here on open another one."""

    def __init__(
        self,
        folder: Path,
        submissions: Submissions,
        is_live: Callable[[str], bool],
        clock: Clock,
        looks_every_s: float = _LOOKS_EVERY_S,
    ) -> None:
        self._folder = folder
        self._submissions = submissions
        self._is_live = is_live
        self._clock = clock
        self._every = looks_every_s
        self._kept: dict[str, datetime] = {}
        """When to look at each."""
        self._task: asyncio.Task[None] | None = None

    async def keep(self, submission_id: str) -> None:
        """Durable on return."""
        await asyncio.to_thread(self._note, submission_id)
        self._kept[submission_id] = self._clock()

    async def start(self) -> None:
        """Those that an earlier process kept are kept again."""
        self._kept |= dict.fromkeys(await asyncio.to_thread(self._noted), self._clock())
        self._task = asyncio.create_task(self._watch(), name="upload-keeping")

    async def stop(self) -> None:
        """After the spool was emptied: whoever looks next may close what is not under way here."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for submission_id in sorted(self._kept):
            if not self._is_live(submission_id):
                try:
                    await self._submissions.let_go(submission_id)
                    await self._forget(submission_id)
                except (TransientError, VersionConflict) as error:
                    _log.info("an open submission stays with this spool: %s", type(error).__name__)

    async def _watch(self) -> None:
        while True:
            now = self._clock()
            for submission_id in [one for one, time in self._kept.items() if time <= now]:
                try:
                    await self._look(submission_id)
                except (TransientError, VersionConflict) as error:
                    _log.info("an open submission is looked at again: %s", type(error).__name__)
                except Exception:  # noqa: BLE001 - the edge: one submission must not keep the others open
                    _log.exception("looking at an open submission met a defect")
            await asyncio.sleep(self._every)

    async def _look(self, submission_id: str) -> None:
        submission = await self._submissions.find(submission_id)
        if submission is not None and submission.state == "open":
            again = await self._submissions.close_if_silent(submission, self._is_live)
            if again is not None:
                await self._submissions.say_it_lives(submission)
                self._kept[submission_id] = again
                return
        await self._forget(submission_id)

    async def _forget(self, submission_id: str) -> None:
        del self._kept[submission_id]
        with suppress(FileNotFoundError):
            await asyncio.to_thread((self._folder / submission_id).unlink)

    def _note(self, submission_id: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / submission_id).touch()
        sync(self._folder)

    def _noted(self) -> set[str]:
        return {path.name for path in self._folder.iterdir()} if self._folder.exists() else set()
