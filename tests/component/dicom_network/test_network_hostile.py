"""What the listening side does with peers that do not behave."""

import asyncio
import logging
import os
import random
import struct
from collections.abc import AsyncIterator

import pytest

from kit.dicom.network import UNKNOWN_CALLING_AE, AssociationServer, Limits, Timeouts, associate, commands
from tests.component.dicom_network.raw_peer import (
    ABORT,
    RELEASE,
    RawPeer,
    Recorder,
    data_pdu,
    echo_command,
    request_pdu,
    store_command,
)

QUICK = Timeouts(association=0.4, idle=0.6, progress=0.4, minimum_rate=1000)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def server(recorder: Recorder) -> AsyncIterator[AssociationServer]:
    server = AssociationServer(
        "127.0.0.1", 0, recorder.admit, limits=Limits(associations=6, per_address=4, dataset=1 << 20)
    )
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def hasty(recorder: Recorder) -> AsyncIterator[AssociationServer]:
    server = AssociationServer("127.0.0.1", 0, recorder.admit, timeouts=QUICK)
    await server.start()
    yield server
    await server.stop()


async def _still_serves(server: AssociationServer) -> None:
    async with asyncio.timeout(20):
        while server.associations:
            await asyncio.sleep(0.01)
    peer = await RawPeer.associated(server.port)
    peer.send(echo_command(9))
    answer = await peer.response()
    assert answer.number(commands.STATUS) == 0
    assert answer.responded_to == 9
    peer.send(RELEASE)
    assert (await peer.pdu())[0] == 6
    await peer.close()


def _is_abort(answer: bytes) -> bool:
    return answer[:1] == b"\x07" and len(answer) == 10


@pytest.mark.parametrize("seed", range(12))
async def test_random_bytes_are_answered_by_an_abort_or_nothing(
    server: AssociationServer, recorder: Recorder, seed: int
) -> None:
    peer = await RawPeer.connect(server.port)
    peer.send(random.Random(seed).randbytes(5000))
    peer.writer.write_eof()
    answer = await peer.end()
    assert answer == b"" or _is_abort(answer)
    await peer.close()
    assert not recorder.peers
    await _still_serves(server)


@pytest.mark.parametrize(
    "hello", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"SSH-2.0-x\r\n"]
)
async def test_other_protocols_are_turned_away(server: AssociationServer, hello: bytes) -> None:
    peer = await RawPeer.connect(server.port)
    peer.send(hello)
    assert _is_abort(await peer.end())
    await peer.close()
    await _still_serves(server)


@pytest.mark.parametrize("kind", [1, 4, 7, 200])
async def test_a_huge_first_pdu_is_refused_before_it_is_read(server: AssociationServer, kind: int) -> None:
    peer = await RawPeer.connect(server.port)
    peer.send(struct.pack(">BBI", kind, 0, 0xFFFFFFFF))
    assert _is_abort(await peer.end())
    await peer.close()
    await _still_serves(server)


async def test_a_huge_data_pdu_is_refused_before_it_is_read(server: AssociationServer) -> None:
    peer = await RawPeer.associated(server.port)
    peer.send(struct.pack(">BBI", 4, 0, 0xFFFFFFF0) + bytes(1000))
    assert _is_abort(await peer.end())
    await peer.close()
    await _still_serves(server)


@pytest.mark.parametrize(
    "pdus",
    [
        data_pdu(1, 2, b"data without a command"),
        data_pdu(1, 3, b"no command at all!"),
        data_pdu(1, 3, b""),
        data_pdu(5, 3, commands.request(commands.C_ECHO_RQ, 1, {}, dataset=False).encode()),
        struct.pack(">BBI", 4, 0, 3) + b"abc",
        struct.pack(">BBIIBB", 4, 0, 6, 0xFFFFFFFF, 1, 3),
        struct.pack(">BBIIBB", 4, 0, 6, 0, 1, 3),
        struct.pack(">BBIIBB", 4, 0, 10, 4, 1, 3) + b"ab" + b"xx",
        b"\x01\0" + request_pdu()[2:],
        b"\x05\0\0\0\0\xff" + bytes(255),
        store_command() + echo_command(),
        store_command() + RELEASE,
        data_pdu(1, 1, bytes(10_000)) * 3,
        data_pdu(3, 3, commands.Command({commands.COMMAND_FIELD: 0x8030, commands.RESPONDED_TO: 1}).encode()),
    ],
)
async def test_broken_messages_end_the_association(
    server: AssociationServer, recorder: Recorder, pdus: bytes
) -> None:
    peer = await RawPeer.associated(server.port)
    peer.send(pdus)
    answer = await peer.end()
    assert answer == b"" or _is_abort(answer) or answer[:1] == b"\x06"
    await peer.close()
    assert not recorder.received
    await _still_serves(server)


async def test_a_data_set_over_the_limit_is_cut_off(server: AssociationServer, recorder: Recorder) -> None:
    peer = await RawPeer.associated(server.port)
    peer.send(store_command())
    for _ in range(20):
        peer.send(data_pdu(1, 0, bytes(100_000)))
    await peer.end()
    await peer.close()
    assert len(recorder.broken) == 1
    await _still_serves(server)


@pytest.mark.parametrize("how", ["abort", "close", "reset"])
async def test_an_instance_broken_off_is_dropped_and_the_earlier_one_kept(
    server: AssociationServer, recorder: Recorder, how: str
) -> None:
    peer = await RawPeer.associated(server.port)
    peer.send(store_command("1.2.1") + data_pdu(1, 2, b"whole") + store_command("1.2.2", message=2))
    assert (await peer.response()).number(commands.STATUS) == 0
    peer.send(data_pdu(1, 0, bytes(70_000)))
    if how == "abort":
        peer.send(ABORT)
        assert await peer.end() == b""
    elif how == "close":
        peer.writer.write_eof()
        await peer.end()
    else:
        peer.writer.transport.abort()
    await peer.close()
    await _still_serves(server)
    assert [(request.sop_instance, data) for request, data in recorder.received] == [("1.2.1", b"whole")]
    assert [request.sop_instance for request in recorder.broken] == ["1.2.2"]
    assert recorder.over == 2


async def test_fragments_of_any_size_and_several_in_a_pdu_make_one_data_set(
    server: AssociationServer, recorder: Recorder
) -> None:
    content = os.urandom(150_000)
    peer = await RawPeer.associated(server.port)
    command = store_command()[12:]
    halves = (
        struct.pack(">IBB", 12, 1, 1)
        + command[:10]
        + struct.pack(">IBB", len(command) - 8, 1, 3)
        + command[10:]
    )
    peer.send(struct.pack(">BBI", 4, 0, len(halves)) + halves)
    position = 0
    chooser = random.Random(7)
    while position < len(content):
        items = b""
        for _ in range(chooser.randint(1, 5)):
            piece = content[position : position + chooser.choice([0, 1, 2, 7, 1000, 20_000])]
            position += len(piece)
            last = 2 if position == len(content) and piece else 0
            items += struct.pack(">IBB", len(piece) + 2, 1, last) + piece
            if last:
                break
        peer.send(struct.pack(">BBI", 4, 0, len(items)) + items)
    assert (await peer.response()).number(commands.STATUS) == 0
    await peer.close()
    assert recorder.received[0][1] == content


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (store_command("not a uid"), 0x0117),
        (store_command(""), 0x0117),
        (store_command("1" * 65), 0x0117),
        (store_command(sop_class="1.2.840.10008.5.1.4.1.1.4"), 0x0122),
    ],
)
async def test_requests_that_can_not_be_are_answered_and_the_association_stands(
    server: AssociationServer, recorder: Recorder, command: bytes, status: int
) -> None:
    peer = await RawPeer.associated(server.port)
    peer.send(command + data_pdu(1, 2, bytes(300)))
    assert (await peer.response()).number(commands.STATUS) == status
    peer.send(store_command("1.2.5", message=2) + data_pdu(1, 2, b"good"))
    assert (await peer.response()).number(commands.STATUS) == 0
    await peer.close()
    assert [data for _, data in recorder.received] == [b"good"]


async def test_a_store_without_data_and_unknown_operations_are_answered(server: AssociationServer) -> None:
    peer = await RawPeer.associated(server.port)
    peer.send(store_command(dataset=False))
    assert (await peer.response()).number(commands.STATUS) == 0xC000
    peer.send(data_pdu(1, 3, commands.request(commands.C_FIND_RQ, 5, {}, dataset=False).encode()))
    answer = await peer.response()
    assert answer.number(commands.STATUS) == 0x0211
    assert answer.responded_to == 5
    await peer.close()


async def test_silence_and_dripping_are_ended(hasty: AssociationServer, recorder: Recorder) -> None:
    silent = await RawPeer.connect(hasty.port)
    assert _is_abort(await silent.end())
    dripping = await RawPeer.connect(hasty.port)

    async def drip(peer: RawPeer, data: bytes) -> None:
        for byte in data:
            peer.send(bytes([byte]))
            await asyncio.sleep(0.1)

    task = asyncio.create_task(drip(dripping, request_pdu()))
    await dripping.end()
    task.cancel()
    idle = await RawPeer.associated(hasty.port)
    assert _is_abort(await idle.end())
    stopping = await RawPeer.associated(hasty.port)
    stopping.send(store_command() + data_pdu(1, 0, bytes(5000)))
    assert _is_abort(await stopping.end())
    slow = await RawPeer.associated(hasty.port)
    slow.send(store_command())
    task = asyncio.create_task(drip_items(slow))
    await slow.end()
    task.cancel()
    assert len(recorder.broken) == 2
    for peer in (silent, dripping, idle, stopping, slow):
        await peer.close()
    async with asyncio.timeout(10):
        while hasty.associations:
            await asyncio.sleep(0.01)


async def drip_items(peer: RawPeer) -> None:
    """Every byte in time, none of use."""
    while True:
        peer.send(data_pdu(1, 0, b"x"))
        await asyncio.sleep(0.05)


async def test_a_peer_that_takes_no_answers_is_ended(hasty: AssociationServer) -> None:
    peer = await RawPeer.associated(hasty.port)
    peer.writer.transport.pause_reading()
    try:
        async with asyncio.timeout(20):
            while hasty.associations:
                peer.send(echo_command() * 2000)
                await asyncio.sleep(0.02)
    finally:
        peer.writer.transport.abort()


async def test_more_associations_than_allowed_are_rejected_for_the_moment(
    server: AssociationServer, recorder: Recorder
) -> None:
    taken = [await RawPeer.associated(server.port) for _ in range(4)]
    further = await RawPeer.connect(server.port)
    further.send(request_pdu())
    kind, body = await further.pdu()
    assert kind == 3
    assert tuple(body[1:]) == (2, 3, 2)
    for peer in [*taken, further]:
        await peer.close()
    await _still_serves(server)


async def test_connections_that_say_nothing_are_bounded(server: AssociationServer) -> None:
    peers = [await RawPeer.connect(server.port) for _ in range(40)]
    await asyncio.sleep(0.2)
    assert server.associations <= 24
    for peer in peers:
        await peer.close()
    await _still_serves(server)


async def test_unknown_callers_and_contexts_are_rejected(
    server: AssociationServer, recorder: Recorder
) -> None:
    recorder.rejection = UNKNOWN_CALLING_AE
    peer = await RawPeer.connect(server.port)
    peer.send(request_pdu())
    kind, body = await peer.pdu()
    assert (kind, tuple(body[1:])) == (3, (1, 1, 3))
    await peer.close()
    other = await RawPeer.connect(server.port)
    other.send(request_pdu().replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.2"))
    assert tuple((await other.pdu())[1][1:]) == (1, 1, 2)
    await other.close()


async def test_a_defect_behind_the_server_is_answered_as_a_failure(
    server: AssociationServer, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def defect(*_: object) -> None:
        raise KeyError("defect")

    monkeypatch.setattr(recorder, "store", defect)
    peer = await RawPeer.associated(server.port)
    peer.send(store_command() + data_pdu(1, 2, bytes(100_000)))
    assert (await peer.response()).number(commands.STATUS) == 0x0110
    peer.send(echo_command())
    assert (await peer.response()).number(commands.STATUS) == 0
    await peer.close()


async def test_stopping_aborts_idle_associations_and_finishes_an_instance(
    server: AssociationServer, recorder: Recorder
) -> None:
    idle, busy = await RawPeer.associated(server.port), await RawPeer.associated(server.port)
    busy.send(store_command() + data_pdu(1, 0, b"first "))
    await asyncio.sleep(0.1)
    stopping = asyncio.create_task(server.stop())
    assert _is_abort(await idle.end())
    busy.send(data_pdu(1, 2, b"second"))
    assert (await busy.response()).number(commands.STATUS) == 0
    assert _is_abort(await busy.end())
    await stopping
    assert recorder.received[0][1] == b"first second"
    await idle.close()
    await busy.close()


async def test_no_log_line_shows_what_a_peer_sent(
    server: AssociationServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = b"DOE^JOHN"
    for data in (
        secret * 50,
        associate.encode_request("ANTEROOM", "SENDER", []) + secret * 20,
        request_pdu()[:6] + secret * 100,
        request_pdu() + data_pdu(1, 3, secret * 4),
        request_pdu() + store_command("1.2.3") + data_pdu(3, 3, secret),
    ):
        peer = await RawPeer.connect(server.port)
        peer.send(data)
        peer.writer.write_eof()
        await peer.end()
        await peer.close()
    await _still_serves(server)
    assert "DOE" not in caplog.text
