"""The demo hospital's HL7 feed: one patient and one imaging order, sent by MLLP as a hospital sends them."""

from datetime import UTC, datetime, tzinfo

from anteroom.client.api import ClientError
from kit.clock import utc_now
from kit.errors import Unavailable
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

    Raises ClientError when the port does not answer or a message is refused.
    """
    when = now or utc_now()
    messages = [adt(patient, now=when, zone=zone, sender=_SENDER)]
    if order is not None:
        messages.append(imaging_order(patient, order, now=when, zone=zone, sender=_SENDER))
    try:
        async with MllpClient(host, port) as client:
            answers = [await client.send(message) for message in messages]
    except Unavailable as error:
        raise ClientError(f"The demo's HL7 feed: {error}") from error
    for answer in answers:
        if not answer.accepted:
            raise ClientError(f"Anteroom did not take the demo's HL7 message ({answer.code}): {answer.text}")
