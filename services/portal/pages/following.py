"""Server-sent events: news of what changed, for pages that are open. Ids only: a page asks again for what
it may see."""

from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi import Request
from fastapi.responses import StreamingResponse

from kit.access import AUDIENCES
from kit.documents.port import Documents
from kit.identity import Principal
from kit.service import visitor
from services.portal.live import Live

_BEAT = 20.0
Concerns = Callable[[str], Awaitable[bool]]


def stream(request: Request, live: Live, who: Principal, concerns: Concerns) -> StreamingResponse:
    """`changed` with the id of what changed, where it `concerns` the reader; `beat` now and then."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(
        _told(request, live, who, concerns), media_type="text/event-stream", headers=headers
    )


async def _told(request: Request, live: Live, who: Principal, concerns: Concerns) -> AsyncIterator[str]:
    """Ends when the session does; the browser then asks again and is sent to sign in."""
    yield "retry: 3000\nevent: beat\ndata:\n\n"
    async for changed in live.changes(_BEAT):
        if not changed:
            if who.session is not None and await visitor(request) is None:
                return
            yield "event: beat\ndata:\n\n"
        elif await concerns(changed):
            yield f"event: changed\ndata: {changed}\n\n"


async def is_of_submission(documents: Documents, submission_id: str, changed: str) -> bool:
    """Whether what changed is the submission itself, or a study that it brought images of."""
    if changed == submission_id:
        return True
    audience = await documents.get(AUDIENCES, changed)
    return audience is not None and submission_id in audience.submissions
