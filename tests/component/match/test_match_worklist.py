"""A waiting study is matched by what a real worklist server (DCMTK wlmscpfs) knows."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.dicom.worklist import Worklist, find_items
from kit.errors import Unavailable
from kit.service import Kit
from services.match import app
from services.match.documents import MATCHES
from services.match.settings import MatchSettings
from tests.component.match.conftest import Running, port_of
from tests.component.match.samples import adt
from tests.neighbours.process import NeighbourProcess, binary, free_port, listens

ITEM = """
(0008,0005) CS [ISO_IR 100]
(0008,0050) SH [{accession}]
(0010,0010) PN [{name}]
(0010,0020) LO [{patient_id}]
(0010,0021) LO [HOSPITAL]
(0010,0030) DA [19700203]
(0010,0040) CS [F]
(0020,000d) UI [1.2.3.{number}]
(0032,1032) PN [Doctor^Who]
(0032,1060) LO [CT of the head]
(0040,1001) SH [RP{number}]
(0040,0100) SQ
(fffe,e000) na
(0008,0060) CS [CT]
(0040,0001) AE [CT1]
(0040,0002) DA [20260302]
(0040,0003) TM [083000]
(0040,0006) PN [Doctor^Who]
(0040,0007) LO [Head]
(0040,0009) SH [SPS{number}]
(fffe,e00d) na
(fffe,e0dd) na
"""


@dataclass
class Server:
    folder: Path
    port: int
    process: NeighbourProcess

    def add(self, number: int, accession: str, name: str, patient_id: str) -> None:
        text = ITEM.format(number=number, accession=accession, name=name, patient_id=patient_id)
        dump = self.folder / f"{number}.dump"
        dump.write_bytes(text.encode("latin-1"))
        finished = self.folder / f"{number}.tmp"
        subprocess.run(
            [binary("dump2dcm", "dcmtk"), "--write-xfer-little", str(dump), str(finished)],
            check=True,
            capture_output=True,
            timeout=60,
        )
        finished.rename(self.folder / f"{number}.wl")


@pytest.fixture
def worklist(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "worklists" / "WORKLIST"
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    port = free_port()
    process = NeighbourProcess(
        [binary("wlmscpfs", "dcmtk"), "-dfp", str(folder.parent), str(port)], log=tmp_path / "wlmscpfs.log"
    )
    process.start(lambda: listens(port))
    yield Server(folder, port, process)
    process.stop()


@pytest.fixture
async def asking(kit_env: Kit, worklist: Server) -> AsyncIterator[Running]:
    settings = MatchSettings(
        hl7_host="127.0.0.1", hl7_port=0, worklist_host="127.0.0.1", worklist_port=worklist.port
    )
    service = app.build(kit_env, settings)
    await kit_env.bus.start()
    for start in service.start:
        await start()
    yield Running(kit_env, service, port_of(service))
    for stop in service.stop:
        await stop()


async def _until_matched(running: Running) -> None:
    async with asyncio.timeout(60):
        while (await running.match()).state != "matched":
            await asyncio.sleep(0.05)


async def test_accession_number_finds_patient_and_order(asking: Running, worklist: Server) -> None:
    worklist.add(1, "ACC1", "Muster^Anna", "4711")
    worklist.add(2, "ACC2", "Else^Someone", "4712")
    await asking.study(accession_number="ACC1", sex="")
    await _until_matched(asking)
    match = await asking.match()
    assert match.rule == "accession"
    assert match.chosen is not None
    assert match.chosen.patient.patient_id == "4711"
    assert match.chosen.order is not None
    assert match.chosen.order.scheduled_step_id == "SPS1"
    assert match.chosen.order.scheduled_at == "20260302083000"
    record = await asking.kit.documents.get(MATCHES, "s1")
    async with asyncio.timeout(30):
        while record is None or record.due_at is not None or record.lease_until is not None:
            await asyncio.sleep(0.05)
            record = await asking.kit.documents.get(MATCHES, "s1")
    assert await asking.patient("4712") is None


async def test_name_is_asked_for(asking: Running, worklist: Server) -> None:
    worklist.add(1, "ACC1", "Müller^Jörg", "4711")
    await asking.study(name="MÜLLER^JÖRG^A")
    await _until_matched(asking)
    assert (await asking.match()).rule == "name+birth+sex"


async def test_messages_know_better_than_the_worklist(asking: Running, worklist: Server) -> None:
    worklist.add(1, "ACC1", "Muster^Anna", "4711")
    await asking.send(adt(name="Married^Anna"))
    await asking.study(accession_number="ACC1", name="Muster^Anna")
    async with asyncio.timeout(60):
        while not await asking.orders():
            await asyncio.sleep(0.05)
    patient = await asking.patient("4711")
    assert patient is not None
    assert patient.name == "Married^Anna"
    assert (await asking.match()).state == "unmatched"


async def test_worklist_that_is_away_is_asked_later(asking: Running, worklist: Server) -> None:
    worklist.process.stop()
    await asking.study()
    async with asyncio.timeout(60):
        while True:
            record = await asking.kit.documents.get(MATCHES, "s1")
            if record is not None and record.last_error:
                break
            await asyncio.sleep(0.05)
    assert record.due_at is not None
    assert record.due_at > asking.kit.clock()
    assert record.state == "waiting"


async def test_silent_worklist_is_given_up(unused_tcp_port: int) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", unused_tcp_port)
    worklist = Worklist("127.0.0.1", unused_tcp_port, "A", "B", timeout=0.3)
    with pytest.raises(Unavailable):
        await find_items(worklist, accession_number="1")
    assert await find_items(worklist) == []
    server.close()
    await server.wait_closed()
