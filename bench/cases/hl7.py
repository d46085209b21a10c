"""HL7: ADT^A08 messages over 4 MLLP connections, each acknowledged once durable; hl7apy's server beside."""

import asyncio
import socketserver
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

from hl7apy.mllp import AbstractHandler, MLLPServer
from hl7apy.parser import parse_message

from bench.result import Result
from bench.servers import anteroom, free_port
from kit.clock import utc_now
from kit.hl7.build import adt
from kit.hl7.client import MllpClient
from schemas.shapes import Demographics

MESSAGES = 2000
PEER_MESSAGES = 200
CONNECTIONS = 4


class _Acknowledge(AbstractHandler):  # type: ignore[misc]
    def reply(self) -> str:
        message = parse_message(self.incoming_message)
        return f"\x0bMSH|^~\\&|P|P|A|A|20260101||ACK|1|P|2.5\rMSA|AA|{message.msh.msh_10.value}\r\x1c\r"


def run() -> Iterator[Result]:
    result = Result("hl7-a08", "messages/s", "higher")
    template = _template()
    port = free_port()
    peer = MLLPServer("127.0.0.1", port, {"ADT^A08^ADT_A01": (_Acknowledge,)})
    assert isinstance(peer, socketserver.ThreadingTCPServer)
    threading.Thread(target=peer.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="bench-") as name, anteroom(Path(name) / "ours") as server:
        asyncio.run(_pump(server.hl7_port, template, 200, "W"))
        for number in range(3):
            ours = asyncio.run(_pump(server.hl7_port, template, MESSAGES, f"R{number}"))
            theirs = asyncio.run(_pump(port, template, PEER_MESSAGES, f"R{number}", a_connection_each=True))
            result.runs.append({"ours": ours, "peer": theirs})
    peer.shutdown()
    yield result


def _template() -> str:
    patient = Demographics(
        patient_id="PATIENT", issuer="HOSPITAL", name="Bench^Patient", birth_date="19700102", sex="F"
    )
    return adt(patient, now=utc_now(), zone=UTC, trigger="A08")


async def _pump(port: int, template: str, count: int, mark: str, *, a_connection_each: bool = False) -> float:
    """Messages/s over four connections. hl7apy's server closes a connection after every message."""
    control = template.split("|")[9]

    async def some(names: list[str]) -> None:
        async with MllpClient("127.0.0.1", port) as client:
            for name in names:
                answer = await client.send(template.replace(control, name).replace("PATIENT", name))
                assert answer.code == "AA", answer

    async def one(connection: int) -> None:
        names = [f"{mark}{connection}{number:05}" for number in range(count // CONNECTIONS)]
        for chosen in [[name] for name in names] if a_connection_each else [names]:
            await some(chosen)

    start = time.monotonic()
    await asyncio.gather(*(one(connection) for connection in range(CONNECTIONS)))
    return count / (time.monotonic() - start)
