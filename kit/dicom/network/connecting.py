"""Connecting to a peer, and its answer to an association request (PS3.8 7.1)."""

import asyncio
import errno
import socket
import ssl

from kit.dicom.network import associate
from kit.dicom.network.errors import Aborted, ProtocolError, Rejected, Unreachable
from kit.dicom.network.messages import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    Timeouts,
    read_pdu_header,
)
from kit.dicom.network.wire import Wire
from kit.saying import say
from schemas.shapes import Said


async def connect(name: str, host: str, port: int, tls: ssl.SSLContext | None, timeout: float) -> Wire:
    """Raises Unreachable. `name` stands for the peer in errors."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            _, wire = await loop.create_connection(lambda: Wire(name), host, port, ssl=tls)
    except TimeoutError:
        raise Unreachable(
            name, say("no-connection-in-time", "no connection within %(seconds)s s", seconds=f"{timeout:g}")
        ) from None
    except ssl.SSLError as error:
        raise Unreachable(
            name,
            say(
                "tls-failed", "TLS could not be agreed (%(reason)s)", reason=error.reason or "unknown reason"
            ),
        ) from None
    except OSError as error:
        raise Unreachable(name, _no_connection(error)) from None
    return wire


async def answer(wire: Wire, timeouts: Timeouts) -> associate.Acceptance:
    """What the peer makes of the request. Raises Rejected, Aborted, PeerSilent, ProtocolError."""
    kind, length = await read_pdu_header(wire, timeouts.association)
    if kind == A_ASSOCIATE_AC and 68 <= length <= associate.ASSOCIATION_LIMIT:
        body = await wire.read_exactly(length, timeouts.association)
        try:
            return associate.decode_acceptance(b"\x02\x00" + length.to_bytes(4, "big") + body)
        except associate.BadAssociation as error:
            raise ProtocolError(wire.name, str(error)) from None
    if kind == A_ASSOCIATE_RJ and length == 4:
        _, result, source, diagnostic = await wire.read_exactly(4, timeouts.association)
        raise Rejected(wire.name, result, source, diagnostic)
    if kind == A_ABORT:
        raise Aborted(
            wire.name, say("aborted-at-once", "it aborted instead of answering the association request")
        )
    raise ProtocolError(wire.name, say("not-dicom-there", "what answers there does not speak DICOM"))


def _no_connection(error: OSError) -> Said:
    if isinstance(error, socket.gaierror):
        return say("host-unknown", "no connection (its name is not known here)")
    if error.errno == errno.ECONNREFUSED:
        return say("connection-refused", "no connection (connection refused)")
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return say("no-way-there", "no connection (the network does not lead there)")
    return say("no-connection", "no connection (%(reason)s)", reason=error.strerror or "refused")
