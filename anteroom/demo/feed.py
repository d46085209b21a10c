"""The demo hospital's HL7 feed: one patient and one imaging order, sent by MLLP as a hospital sends them."""

from datetime import UTC, datetime, tzinfo

from kit.clock import utc_now
from kit.errors import PermanentError
from kit.hl7.build import adt, imaging_order
from kit.hl7.client import MllpClient
from schemas.shapes import Demographics, Order

_SENDER = "DEMO-HIS"


async def announce(
    host: str,
    port: int,
    patient: Demographics,
    order: Order | None = None,
    *,
    now: datetime | None = None,
    zone: tzinfo = UTC,
) -> None:
    """Send an ADT^A04 and, where there is an order, an ORM^O01; both are durable on return.

    Raises Unavailable when the port does not answer, PermanentError when a message is refused.
    """
    when = now or utc_now()
    messages = [adt(patient, now=when, zone=zone, sender=_SENDER)]
    if order is not None:
        messages.append(imaging_order(patient, order, now=when, zone=zone, sender=_SENDER))
    async with MllpClient(host, port) as client:
        for message in messages:
            answer = await client.send(message)
            if not answer.accepted:
                raise PermanentError(
                    f"Anteroom did not take the demo's HL7 message ({answer.code}): {answer.text}"
                )
