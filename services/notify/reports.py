"""Delivery reports of Twilio (status callbacks of the Messages resource)."""

from collections.abc import Sequence

from kit.errors import NotFound
from kit.saying import say
from schemas.envelope import Event
from services.notify.endings import failed
from services.notify.models import NOTICES, Notice, State
from services.notify.ports import Ports

_RANK = {
    status: rank
    for rank, statuses in enumerate(
        (
            ("accepted", "scheduled", "queued"),
            ("sending",),
            ("sent",),
            ("delivered", "undelivered", "failed", "canceled"),
        )
    )
    for status in statuses
}
"""Reports may overtake each other; only one further along counts. `read` comes for RCS and WhatsApp."""
_LOST = {"undelivered", "failed", "canceled"}


async def report(ports: Ports, notice_id: str, status: str, error_code: str) -> None:
    """Take a report in. An unknown status or an old one changes nothing. Raises NotFound."""

    def edit(notice: Notice | None) -> tuple[Notice, Sequence[Event]] | None:
        if notice is None or notice.channel != "sms":
            raise NotFound("no-notice", "There is no such notice.")
        if status not in _RANK or _RANK[status] <= _RANK.get(notice.provider_status, -1):
            return None
        notice.provider_status = status
        notice.note(ports.clock(), f"reported {status}")
        if status not in _LOST or notice.state is not State.SENT:
            return notice, ()
        digits = "".join(c for c in error_code[:8] if c.isdigit())
        form = "Twilio reports it as %(state)s"
        reason = (
            say("twilio-reports-code", form + " (code %(code)s)", state=status, code=digits)
            if digits
            else say("twilio-reports", form, state=status)
        )
        return notice, failed(ports, notice, reason, step="reported")

    await ports.change(NOTICES, notice_id, edit)
