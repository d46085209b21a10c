"""The HL7 door as senders of all kinds meet it."""

import asyncio
import contextlib
import logging
import random
import ssl
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from kit.errors import NoSpace, Unavailable
from kit.hl7.client import MllpClient
from kit.hl7.message import parse, split_batch
from kit.hl7.mllp import Frame, wrap
from kit.hl7.server import Limits, MllpServer
from kit.service import Kit
from services.match import app
from services.match.mllp import Hl7Door
from services.match.settings import MatchSettings
from tests.component.match.conftest import Running, port_of
from tests.component.match.samples import adt, header, merge, order, pid
from tests.conftest import settle
from tests.counting import calls
from tests.neighbours.certificates import Authority

_BEGUN = b"MSH|^~\\&|a|b|c|d|e||ADT^A01|9|P|2.3\rPID|"


async def _talk(port: int, data: bytes, *, pieces: int = 1, wait: float = 10) -> bytes:
    """All that comes back until the peer closes or is quiet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    size = max(1, -(-len(data) // pieces))
    try:
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await writer.drain()
            await asyncio.sleep(0)
        writer.write_eof()
        async with asyncio.timeout(wait):
            return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _codes(answer: bytes) -> list[str]:
    found = []
    for frame in answer.split(b"\x0b")[1:]:
        for text in split_batch(frame.partition(b"\x1c")[0].decode())[0]:
            segment = parse(text).first("MSA")
            found.append(segment.text(1) if segment else "")
    return found


@pytest.mark.parametrize("trigger", ["A01", "A02", "A03", "A04", "A05", "A08", "A11", "A28", "A31"])
async def test_every_kind_of_adt_keeps_the_patient(running: Running, trigger: str) -> None:
    assert await running.send(adt(trigger)) == ["AA"]
    assert await running.patient("4711") is not None


@pytest.mark.parametrize(
    ("message", "code", "error"),
    [
        (header("ADT^A08") + "\r", "AE", "100"),
        (header("ADT^A08") + "\r" + pid(patient_id="") + "\r", "AE", "101"),
        (header("ORU^R01") + "\r" + pid() + "\r", "AR", "200"),
        (header("ORM^O02") + "\r" + pid() + "\r", "AR", "201"),
        (header("") + "\r" + pid() + "\r", "AR", "200"),
        (header("ADT^A40") + "\r" + pid() + "\r", "AE", "101"),
        (merge("4711", "4711"), "AE", "101"),
        (header("ORM^O01") + "\r" + pid() + "\r", "AE", "101"),
        ("PID|1||4711", "AR", "100"),
        ("", "AR", "207"),
        ("just some text", "AR", "100"),
    ],
)
async def test_what_can_not_be_used_is_said_so(running: Running, message: str, code: str, error: str) -> None:
    async with MllpClient("127.0.0.1", running.port) as client:
        text = await client.exchange(message)
        assert (await client.send(adt())).code == "AA"
    answer = parse(text)
    segment, reason = answer.first("MSA"), answer.first("ERR")
    assert segment is not None
    assert reason is not None
    assert segment.text(1) == code
    assert segment.text(3).endswith(".")
    assert reason.text(3) == error


@pytest.mark.parametrize(
    ("filler", "code"),
    [
        ("PID|1||4711^^^HOSPITAL^MR||" + "~" * 3_000_000, "AA"),
        ("PID|1||4711^^^HOSPITAL^MR||" + "\\" * 3_000_000, "AA"),
        ("PID|1||" + "~" * 5000 + "4711^^^HOSPITAL^MR", "AE"),
        ("ZZZ\r" * 750_000, "AR"),
        ("ZZZ\r" * 3000 + pid(), "AE"),
    ],
)
async def test_hostile_message_costs_little_and_nothing_taken_dies_later(
    running: Running, filler: str, code: str
) -> None:
    with calls() as work:
        assert await running.send(header("ADT^A08") + "\r" + filler + "\r") == [code]
    assert work.count < 500_000
    assert await running.kit.bus.dead_letters() == []


async def test_enhanced_mode(running: Running) -> None:
    more = "|||AL|NE"
    message = header("ADT^A08", more=more) + "\r" + pid() + "\r"
    bad = header("ADT^A08", more=more) + "\r"
    assert await running.send(message, bad) == ["CA", "CE"]
    silent = wrap(header("ADT^A08", more="|||NE|NE") + "\r" + pid(patient_id="7") + "\r")
    assert _codes(await _talk(running.port, silent + wrap(adt()))) == ["AA"]
    await settle(running.kit)
    assert await running.patient("7") is not None


async def test_many_in_flight_are_answered_in_order(running: Running) -> None:
    messages = [adt(control_id=f"ID{number}", patient_id=f"P{number % 7}") for number in range(150)]
    answer = await _talk(running.port, b"".join(wrap(m) for m in messages), pieces=23)
    frames = [frame.partition(b"\x1c")[0].decode() for frame in answer.split(b"\x0b")[1:]]
    ids = [segment.text(2) for frame in frames if (segment := parse(frame).first("MSA")) is not None]
    assert ids == [f"ID{number}" for number in range(150)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r\n"])
async def test_other_line_ends(running: Running, end: str) -> None:
    assert await running.send(adt().replace("\r", end)) == ["AA"]
    patient = await running.patient("4711")
    assert patient is not None
    assert patient.birth_date == "19700203"


async def test_frame_end_without_cr_and_noise_between(running: Running) -> None:
    data = b"\r\n" + wrap(adt())[:-1] + wrap(adt()) + b"\r\n\n" + wrap(adt())
    assert _codes(await _talk(running.port, data)) == ["AA"] * 3


async def test_byte_by_byte(running: Running) -> None:
    data = wrap(adt())
    assert _codes(await _talk(running.port, data, pieces=len(data))) == ["AA"]


async def test_batch_is_answered_as_a_batch(running: Running) -> None:
    messages = [adt(patient_id="1"), header("ORU^R01") + "\r", order()]
    text = "".join(["FHS|^~\\&|\rBHS|^~\\&|\r", *messages, "BTS|3\rFTS|1\r"])
    answer = await _talk(running.port, wrap(text))
    assert answer.count(b"\x0b") == 1
    assert _codes(answer) == ["AA", "AR", "AA"]
    await settle(running.kit)
    assert await running.patient("1") is not None
    assert len(await running.orders()) == 1


async def test_other_character_sets_reach_the_record(running: Running) -> None:
    sets = [("8859/1", "latin-1"), ("UNICODE UTF-8", "utf-8"), ("", "latin-1")]
    for number, (name, codec) in enumerate(sets):
        more = f"||||||{name}"
        message = header("ADT^A08", more=more) + "\r" + pid(patient_id=f"N{number}", name="Müßig^Zoë") + "\r"
        assert await running.send(message.encode(codec)) == ["AA"]
        patient = await running.patient(f"N{number}")
        assert patient is not None
        assert patient.name == "Müßig^Zoë"


async def test_random_bytes_close_the_connection_with_one_line(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(5)
    for _ in range(20):
        caplog.clear()
        data = bytes([chance.choice(range(32, 256))]) + chance.randbytes(chance.randint(0, 5000))
        with caplog.at_level(logging.INFO):
            assert _codes(await _talk(running.port, data)) == []
        assert len([record for record in caplog.records if record.levelno >= logging.INFO]) == 1
    assert await running.send(adt()) == ["AA"]


async def test_random_bytes_in_frames_are_rejected_each(running: Running) -> None:
    chance = random.Random(6)
    for _ in range(50):
        noise = chance.randbytes(chance.randint(0, 3000)).replace(b"\x1c", b"").replace(b"\x0b", b"")
        prefix = chance.choice([b"", b"MSH|^~\\&|", b"MSH", b"FHS|", _BEGUN])
        codes = _codes(await _talk(running.port, wrap(prefix + noise)))
        assert codes
        assert set(codes) <= {"AR", "AE", "AA", "CA", "CE", "CR"}
    await settle(running.kit)
    assert await running.kit.bus.dead_letters() == []


async def test_broken_off_message_is_not_kept(running: Running) -> None:
    assert await _talk(running.port, wrap(adt())[:-2]) == b""
    await settle(running.kit)
    assert await running.patient("4711") is None


async def test_what_came_before_garbage_is_kept(running: Running) -> None:
    assert _codes(await _talk(running.port, wrap(adt()) + b"garbage")) == ["AA"]


def _door(kit: Kit) -> Hl7Door:
    return Hl7Door(kit.bus, kit.clock, zone=ZoneInfo("UTC"), default_issuer="HOSPITAL")


async def test_huge_message_is_rejected_and_the_next_taken(kit_env: Kit) -> None:
    server = MllpServer(_door(kit_env).answer, limits=Limits(max_bytes=100_000))
    await server.start("127.0.0.1", 0)
    huge = adt() + "OBX|1|ED|" + "A" * 3_000_000 + "\r"
    answer = await _talk(server.port, wrap(huge) + wrap(adt(control_id="NEXT")), pieces=50)
    await server.stop()
    assert _codes(answer) == ["AR", "AA"]
    assert b"NEXT" in answer


async def test_endless_message_is_given_up(kit_env: Kit) -> None:
    server = MllpServer(_door(kit_env).answer, limits=Limits(max_bytes=10_000, waste_bytes=500_000))
    await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"\x0b" + b"A" * 5_000_000)
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    await server.stop()


async def test_slow_message_is_given_up(kit_env: Kit) -> None:
    server = MllpServer(_door(kit_env).answer, limits=Limits(within_s=0.2))
    await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"\x0bMSH|")
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    await server.stop()


async def test_too_many_connections_are_refused(kit_env: Kit) -> None:
    server = MllpServer(_door(kit_env).answer, limits=Limits(connections=2))
    await server.start("127.0.0.1", 0)
    async with MllpClient("127.0.0.1", server.port) as one, MllpClient("127.0.0.1", server.port) as two:
        assert (await one.send(adt())).code == "AA"
        assert (await two.send(adt())).code == "AA"
        with contextlib.suppress(OSError):
            assert await _talk(server.port, b"") == b""
        assert (await two.send(adt())).code == "AA"
    await server.stop()


async def test_addresses_outside_the_list_are_refused(kit_env: Kit) -> None:
    server = MllpServer(_door(kit_env).answer, allow=["10.0.0.0/8"])
    await server.start("127.0.0.1", 0)
    # It may be closed before our bytes are read.
    with contextlib.suppress(OSError):
        assert await _talk(server.port, wrap(adt())) == b""
    await server.stop()


async def test_nothing_is_acknowledged_that_could_not_be_stored(kit_env: Kit) -> None:
    async def full(_: list[Frame]) -> list[str]:
        raise NoSpace("The storage is full.")

    server = MllpServer(full)
    await server.start("127.0.0.1", 0)
    assert await _talk(server.port, wrap(adt())) == b""
    await server.stop()


async def test_stop_while_connected_ends_at_once(running: Running) -> None:
    async with MllpClient("127.0.0.1", running.port) as client:
        assert (await client.send(adt())).code == "AA"
        async with asyncio.timeout(5):
            for stop in running.service.stop:
                await stop()


async def test_mutual_tls(kit_env: Kit, authority: Authority) -> None:
    pair = authority.issue("hl7-door")
    settings = MatchSettings(
        hl7_host="127.0.0.1",
        hl7_port=0,
        hl7_tls_certificate=pair.certificate,
        hl7_tls_key=pair.key,
        hl7_tls_client_ca=authority.certificate,
    )
    service = app.build(kit_env, settings)
    await service.start[0]()
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with pytest.raises(Unavailable):
        async with MllpClient("127.0.0.1", port_of(service), tls=context, timeout=5) as client:
            await client.send(adt())
    context.load_cert_chain(pair.certificate, pair.key)
    async with MllpClient("127.0.0.1", port_of(service), tls=context) as client:
        assert (await client.send(adt())).code == "AA"
    await service.stop[0]()


async def test_real_messages_are_each_answered(running: Running, shared_data: Path) -> None:
    files = [
        path
        for path in sorted(shared_data.glob("hl7-*/**/*"))
        if path.is_file() and path.name != "LICENCE.txt"
    ]
    seen: dict[str, int] = {}
    for path in files:
        codes = _codes(await _talk(running.port, wrap(path.read_bytes()) + wrap(adt())))
        assert codes[-1] == "AA", path.name
        for code in codes[:-1]:
            seen[code] = seen.get(code, 0) + 1
    await settle(running.kit)
    assert set(seen) <= {"AA", "AE", "AR", "CA", "CE", "CR"}
    assert seen["AA"] + seen["CA"] > 100
    assert await running.kit.bus.dead_letters() == []
