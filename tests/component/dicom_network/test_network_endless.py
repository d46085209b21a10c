"""Peers that never come to an end hold nobody up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from pydicom.dataset import Dataset

from kit.dicom.network import (
    EXPLICIT_LITTLE,
    WORKLIST_FIND,
    Association,
    Context,
    Timeouts,
    associate,
    commands,
    datasets,
)
from kit.dicom.worklist import MOST_ITEMS, Worklist, find_items
from kit.errors import Unavailable
from tests.component.dicom_network.raw_peer import data_pdu

Talk = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def peer(talk: Talk) -> AsyncIterator[int]:
    """Accepts every association, waits for the next word, then only talks."""
    connections: list[asyncio.StreamWriter] = []

    async def pdu(reader: asyncio.StreamReader) -> bytes:
        header = await reader.readexactly(6)
        return header + await reader.readexactly(int.from_bytes(header[2:], "big"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        try:
            request = associate.decode_request(await pdu(reader))
            answers = [associate.Answer(offer.id, 0, EXPLICIT_LITTLE) for offer in request.offers]
            writer.write(associate.encode_acceptance(request, answers, {}))
            await pdu(reader)
            await talk(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in connections:
        writer.close()


async def test_a_release_that_is_answered_by_chatter_is_over_in_time() -> None:
    async def chatter(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(data_pdu(1, 0, b"xx"))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with peer(chatter) as port, asyncio.timeout(10):
        association = await Association.request(
            "127.0.0.1",
            port,
            called_ae="PACS",
            calling_ae="ANTEROOM",
            contexts=[Context(WORKLIST_FIND, (EXPLICIT_LITTLE,))],
            timeouts=Timeouts(association=0.5),
        )
        await association.release()


def _answer() -> bytes:
    item = Dataset()
    item.PatientID = "1"
    command = commands.Command(
        {
            commands.AFFECTED_CLASS: WORKLIST_FIND,
            commands.COMMAND_FIELD: commands.C_FIND_RQ | commands.RESPONSE,
            commands.RESPONDED_TO: 1,
            commands.DATASET_TYPE: 1,
            commands.STATUS: 0xFF00,
        }
    )
    return data_pdu(1, 3, command.encode()) + data_pdu(1, 2, datasets.encode(item, EXPLICIT_LITTLE))


async def test_a_worklist_that_repeats_itself_is_read_no_further() -> None:
    sent = 0

    async def repeat(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while True:
            sent += 1
            writer.write(_answer())
            await writer.drain()

    async with peer(repeat) as port, asyncio.timeout(60):
        items = await find_items(
            Worklist("127.0.0.1", port, "WL", "ANTEROOM", timeout=30), accession_number="1"
        )
    assert len(items) == 1
    assert sent >= MOST_ITEMS


async def test_a_worklist_that_drips_is_given_up() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(_answer())
            await writer.drain()
            await asyncio.sleep(0.2)

    async with peer(drip) as port, asyncio.timeout(10):
        with pytest.raises(Unavailable, match="come to an end"):
            await find_items(Worklist("127.0.0.1", port, "WL", "ANTEROOM", timeout=0.4), accession_number="1")
