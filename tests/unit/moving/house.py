"""A small installation in a data folder, to be saved, brought back and moved."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from anteroom.embedded import Embedded, open_embedded
from kit.clock import utc_now
from kit.identity import ACCOUNTS, Account
from kit.service import Site
from schemas.envelope import Event
from schemas.notify import NoticeSent
from services.portal.models import SAVED_VIEWS, SavedViews

GROUP = "portal"


@asynccontextmanager
async def opened(data: Path, *, moving: bool = False) -> AsyncIterator[Embedded]:
    embedded = open_embedded(data, Site(), workers=1, moving=moving)
    try:
        yield embedded
    finally:
        await embedded.close()


def notice(number: int) -> NoticeSent:
    return NoticeSent.first(
        time=utc_now(),
        key=f"k{number}",
        correlation_id="c",
        step=str(number),
        notice_id=str(number),
        channel="email",
        kind="x",
    )


async def furnish(data: Path, accounts: int = 250) -> None:
    """Documents of two collections, objects, and five events: three handled, two that wait."""
    data.mkdir(parents=True, exist_ok=True)
    async with opened(data) as embedded:
        kit = embedded.kit
        await kit.documents.insert_many(
            ACCOUNTS, [Account(id=f"a{number:04}", name=f"Clinic {number}") for number in range(accounts)]
        )
        changed = await kit.documents.get(ACCOUNTS, "a0001")
        changed.ae_titles = ["ÖST", "東"]
        await kit.documents.save(ACCOUNTS, changed)
        for number in range(30):
            kit.objects.put(f"studies/s{number % 3}/p{number:03}.dcm", [bytes([number]) * (1000 + number)])
        kit.objects.put("documents/one/empty", [])
    await work_off(data, 3, [notice(number) for number in range(5)])


async def work_off(data: Path, most: int, publish: Sequence[Event] = ()) -> list[str]:
    """Serve the folder until the group has handled `most` events, and no more. Returns their ids."""
    begun: list[str] = []
    handled: list[str] = []
    done = asyncio.Event()
    embedded = open_embedded(data, Site(), workers=1)

    async def handle(event: NoticeSent) -> None:
        begun.append(event.id)
        if len(begun) > most:
            await asyncio.Event().wait()
        seen = await embedded.kit.documents.get(SAVED_VIEWS, event.id) or SavedViews(id=event.id)
        if not seen.has_seen(event):
            seen.remember(event)
            await embedded.kit.documents.save(SAVED_VIEWS, seen)
        handled.append(event.id)
        if len(handled) == most:
            done.set()

    embedded.kit.bus._grace = 0.01
    embedded.kit.bus.subscribe(NoticeSent, GROUP, handle)
    await embedded.kit.bus.publish(publish)
    await embedded.kit.bus.start()
    await asyncio.wait_for(done.wait(), 20)
    await embedded.close()
    return handled


def ticking(start: datetime | None = None) -> Callable[[], datetime]:
    """A clock that goes on by an hour whenever it is looked at."""
    now = [start or utc_now()]

    def clock() -> datetime:
        now[0] += timedelta(hours=1)
        return now[0]

    return clock
