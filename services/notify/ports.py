"""What handlers and tasks of this service work with."""

import asyncio
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, TypeVar

from kit.clock import Clock
from kit.documents.port import Collection, Doc, Documents
from kit.errors import VersionConflict
from kit.identity import Identity
from schemas.envelope import Event
from services.notify.messages import Sign
from services.notify.settings import NotifySettings

D = TypeVar("D", bound=Doc)
_TRIES = 20


class MailSender(Protocol):
    async def send(self, sender: str, recipient: str, message: bytes) -> str: ...


class SmsSender(Protocol):
    async def send(self, recipient: str, text: str, *, status_callback: str | None = None) -> str: ...


@dataclass
class Ports:
    """`mail` and `sms` are None where the channel is not configured."""

    documents: Documents
    identity: Identity
    clock: Clock
    settings: NotifySettings
    sign: Sign
    mail: MailSender | None
    sms: SmsSender | None
    status_url: str = ""
    """Address of our delivery report endpoint as Twilio reaches it; empty: none is asked for."""
    told: Callable[[], None] = lambda: None
    """Called when notices were made: look for due ones."""
    heard: Callable[[], None] = lambda: None
    """Called when there is news."""
    _locks: "weakref.WeakValueDictionary[str, asyncio.Lock]" = field(
        default_factory=weakref.WeakValueDictionary
    )

    @property
    def combine(self) -> timedelta:
        return timedelta(seconds=self.settings.combine_s)

    @property
    def combine_at_most(self) -> timedelta:
        return timedelta(seconds=self.settings.combine_at_most_s)

    def lock(self, recipient: str) -> asyncio.Lock:
        """One message at a time to one address, so that its hourly limit holds."""
        return self._locks.setdefault(recipient, asyncio.Lock())

    async def change(
        self,
        collection: Collection[D],
        doc_id: str,
        edit: Callable[[D | None], tuple[D, Sequence[Event]] | None],
    ) -> D | None:
        """Read, edit, save in one atomic step; again from the start when somebody else saved first.

        `edit` gets the document (None: there is none yet) and returns what to save with its
        events, or None to leave it. Raises VersionConflict when it never comes to rest.
        """
        for _ in range(_TRIES):
            doc = await self.documents.get(collection, doc_id)
            result = edit(doc)
            if result is None:
                return doc
            try:
                return await self.documents.save(collection, result[0], emits=result[1])
            except VersionConflict:
                continue
        raise VersionConflict(collection.name, doc_id, -1)
