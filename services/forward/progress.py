"""Keeping the ledgers while sending: at least every window of instances and every second."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from kit.errors import AnteroomError, VersionConflict
from services.forward import ledger as books
from services.forward.closing import take_sums
from services.forward.ledger import LEDGERS, Ledger
from services.forward.means import Means
from services.forward.models import DELIVERIES, NEWEST_DECISIONS, Delivery
from services.forward.rules.precedence import is_replaced
from services.forward.rules.statuses import Outcome, outcome

WINDOW = 64
"""Instances on their way at most, beyond what the ledgers say."""
_EVERY_S = 1.0


class Replaced(AnteroomError):
    """A newer decision stands in this delivery's place."""


class Progress:
    """One worker's hold on a delivery and its ledgers while it sends."""

    def __init__(self, means: Means, delivery: Delivery, ledgers: Mapping[int, Ledger]) -> None:
        self._means = means
        self._delivery = delivery
        self._ledgers = ledgers
        self._dirty: set[int] = set()
        self._lock = asyncio.Lock()
        self._failure: AnteroomError | None = None

    @asynccontextmanager
    async def ticking(self) -> AsyncIterator[None]:
        """Saves every second, so that it is seen how far it is, and a newer decision is heard of.
        However the block ends, what was answered is saved; only a killed process leaves instances
        in doubt."""
        ended = asyncio.Event()
        ticker = asyncio.create_task(self._tick(ended))
        try:
            yield
        finally:
            # Not cancelled: a save cut short would leave us with a version that is no longer true.
            ended.set()
            await ticker
            if not isinstance(self._failure, VersionConflict):
                for number, ledger in self._ledgers.items():
                    if ledger.reserved != "0":
                        ledger.reserved = "0"
                        self._dirty.add(number)
                await self._flush(with_delivery=True)
        self._stop_if_failed()

    async def reserve(self, number: int, window: int) -> None:
        """Durably say that these positions (a bitmap) may be on their way, and what has arrived."""
        self._stop_if_failed()
        self._ledgers[number].reserved = books.add(self._ledgers[number].reserved, window)
        self._dirty.add(number)
        await self._flush(with_delivery=False)

    def answered(self, number: int, position: int, status: int) -> Outcome:
        """Book what the destination said of one instance."""
        self._stop_if_failed()
        ledger = self._ledgers[number]
        ledger.reserved = books.remove(ledger.reserved, 1 << position)
        result = outcome(status, replacing=self._delivery.replacing)
        if result in (Outcome.KEPT, Outcome.KEPT_WITH_NOTE):
            books.note_kept(ledger, position, status if result is Outcome.KEPT_WITH_NOTE else None)
            # The backoff is for a destination that gets nowhere.
            self._delivery.attempts = 1
        elif result is Outcome.FAILED:
            books.note_refused(ledger, position, status)
        self._dirty.add(number)
        return result

    def _stop_if_failed(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _tick(self, ended: asyncio.Event) -> None:
        while True:
            try:
                await asyncio.wait_for(ended.wait(), _EVERY_S)
                return
            except TimeoutError:
                pass
            try:
                newest = await self._means.kit.documents.get(NEWEST_DECISIONS, self._delivery.study_id)
                if is_replaced(self._delivery, newest):
                    raise Replaced("a newer decision stands in its place")
                await self._flush(with_delivery=True)
            except AnteroomError as error:
                self._failure = error
                return

    async def _flush(self, *, with_delivery: bool) -> None:
        documents = self._means.kit.documents
        async with self._lock:
            while self._dirty:
                number = next(iter(self._dirty))
                self._dirty.discard(number)
                try:
                    await documents.save(LEDGERS, self._ledgers[number])
                except AnteroomError:
                    self._dirty.add(number)
                    raise
            if with_delivery:
                take_sums(self._delivery, self._ledgers.values(), self._means.settings.instance_tries)
                await documents.save(DELIVERIES, self._delivery)
