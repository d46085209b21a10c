"""The lease of a task, kept alive while its work runs.

While a lease runs nobody else takes the task. It is renewed long before its end; work whose lease could
not be renewed in time (the document store is away, this process stood still) is ended, because another
process may do it by now. What such work would still save is refused by the document's version. Processes
compare leases with their own clocks: these must agree to well within a lease.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from kit.clock import Clock
from kit.documents.port import Collection, Documents
from kit.errors import AnteroomError, TransientError

if TYPE_CHECKING:
    from kit.tasks import TaskDoc

T = TypeVar("T", bound="TaskDoc")

_log = logging.getLogger(__name__)

_STUBBORN_S = 30.0


class LeaseLost(AnteroomError):
    """Another process has the task, or may have it by now: nothing more is to be done about it here."""


@dataclass
class Lease(Generic[T]):
    """Of a task just claimed by `owner`, until `until`."""

    documents: Documents
    collection: Collection[T]
    task: T
    owner: str
    clock: Clock
    length: timedelta
    until: datetime
    exclusive: bool = False
    """No other process takes tasks here: what can't be renewed is ours all the same."""

    async def keep_while(self, work: "asyncio.Future[None]", longest: timedelta) -> None:
        """Wait for the work; raises what it raises. The work is cancelled when the lease is lost
        (LeaseLost), when it took longer than `longest` (TransientError), and when this is cancelled."""
        began, pause = self.clock(), self.length / 3
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=pause.total_seconds())
                if work.done():
                    break
                if self.clock() - began >= longest:
                    return await _ended(work, TransientError(f"it was not done within {longest}"))
                before = self.until
                if not await self._still_ours():
                    return await _ended(work, LeaseLost(f"the lease of a task of {self.collection.name}"))
                pause = self.length / (3 if self.until > before else 12)
        except BaseException:
            # without a lease that is looked after no work goes on, whatever ended the looking
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            raise
        return work.result()

    async def _still_ours(self) -> bool:
        """Renew it. While the store does not answer it is ours until it ends."""
        until = self.clock() + self.length
        try:
            async with asyncio.timeout(self._answer_s()):
                renewed = await self.documents.renew(self.collection, self.task.id, self.owner, until)
                if not renewed:
                    fresh = await self.documents.get(self.collection, self.task.id)
                    # the work may have given it back and be about to end
                    renewed = fresh is not None and fresh.lease_owner == self.owner
        except (TransientError, TimeoutError) as error:
            _log.warning("a lease of %s could not be renewed: %s", self.collection.name, error)
            return self.exclusive or self.clock() < self.until
        if renewed:
            self.until = until
            if self.task.lease_until is not None:
                self.task.lease_until = until
        return renewed

    def _answer_s(self) -> float:
        """How long an answer may take."""
        length = self.length if self.exclusive else self.until - self.clock()
        return max(0.0, length.total_seconds())


async def _ended(work: "asyncio.Future[None]", error: AnteroomError) -> None:
    """Cancel the work and raise the error; what it had done by then counts."""
    work.cancel()
    while not (await asyncio.wait({work}, timeout=_STUBBORN_S))[0]:
        _log.error("work that was cancelled does not end: %s", work)
    if work.cancelled():
        raise error
    work.result()
