"""How a notice ends that does not arrive."""

from collections.abc import Sequence

from kit.metrics import NOTICES as NOTICES_ENDED
from schemas.envelope import Event
from schemas.notify import NoticeFailed
from schemas.shapes import Said
from services.notify.models import NOTICES, Notice, State
from services.notify.ports import Ports


def failed(ports: Ports, notice: Notice, reason: Said, step: str = "") -> Sequence[Event]:
    """Put the notice into its failed state; returns the event to save it with."""
    now = ports.clock()
    notice.state = State.FAILED
    notice.due_at = None
    notice.lease_until = None
    notice.last_error, notice.last_said = reason.text[:500], reason
    notice.note(now, f"failed: {reason.text[:300]}")
    event = NoticeFailed.first(
        time=now,
        key=notice.id,
        step=step,
        correlation_id=notice.correlation_id,
        cause=notice.cause,
        notice_id=notice.id,
        channel=notice.channel,
        kind=notice.kind.value,
        reason=reason.text[:500],
    )
    return (event,)


async def fail(ports: Ports, notice: Notice, reason: Said) -> None:
    """End the notice so: it is lost to its recipient, and this is shown."""
    emits = failed(ports, notice, reason)
    await ports.documents.save(NOTICES, notice, emits=emits)
    NOTICES_ENDED.labels(notice.channel, "failed").inc()
