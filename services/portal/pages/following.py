"""Server-sent events: news of what changed, for pages that are open. Ids only: a page asks again for what
it may see."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi import Request
from fastapi.responses import StreamingResponse

from kit.errors import Refused, TransientError
from kit.identity import Principal
from kit.service import principal
from services.portal.live import Interest, Live

_BEAT = 20.0
Interested = Callable[[Principal], Awaitable[Interest]]
"""What the page is about, for whoever this is by now. Raises Refused when it is nothing to them any more."""


def stream(request: Request, live: Live, who: Principal, interested: Interested) -> StreamingResponse:
    """`changed` with the id of what changed, where the page is about it; `beat` every 20 seconds. Raises
    Crowded."""
    live.require_room(who.account.id)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(
        _told(request, live, who, interested), media_type="text/event-stream", headers=headers
    )


async def _told(request: Request, live: Live, who: Principal, interested: Interested) -> AsyncIterator[str]:
    """At every beat it is asked again who this is and what they may see. Ends when that is nothing any more;
    the browser then asks again and is told why."""
    loop = asyncio.get_running_loop()
    try:
        with live.listening(who.account.id) as ear:
            live.attend(ear, await interested(who))
            yield "retry: 3000\nevent: beat\ndata:\n\n"
            while True:
                beat = loop.time() + _BEAT
                while changed := await ear.next(beat):
                    yield f"event: changed\ndata: {changed}\n\n"
                who = await principal(request)
                live.attend(ear, await interested(who))
                yield "event: beat\ndata:\n\n"
    except (Refused, TransientError):
        return
