"""The door's process is killed while dcmsend sends: what it was told is stored is there afterwards."""

import asyncio
import io
import sys
import tarfile
from pathlib import Path

from anteroom.embedded import open_embedded
from kit.service import Site
from schemas.upload import BatchReceived, SubmissionClosed
from tests.component.dicom_network.part10 import made_up, read
from tests.neighbours.process import NeighbourProcess, binary, free_port, listens

ROUNDS = 4
_ROOT = Path(__file__).parents[3]


async def _send(port: int, paths: list[Path]) -> tuple[asyncio.subprocess.Process, asyncio.Task[bytes]]:
    process = await asyncio.create_subprocess_exec(
        binary("dcmsend", "dcmtk"),
        *("-v", "127.0.0.1", str(port), *map(str, paths)),
        env={"TCP_NODELAY": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    return process, asyncio.create_task(process.stdout.read())


async def _outcome(data: Path) -> tuple[list[str], int]:
    """SOP Instance UIDs in batches, and how many files the closed submissions have in all."""
    embedded = open_embedded(data, Site())
    stored: list[str] = []
    closed = 0
    for _, event in await embedded.kit.bus.read(after=0, limit=10_000):
        if isinstance(event, BatchReceived):
            with tarfile.open(fileobj=io.BytesIO(embedded.kit.objects.read(event.parts[0].key))) as tar:
                stored += [Path(name).name.removesuffix(".dcm") for name in tar.getnames()]
        elif isinstance(event, SubmissionClosed):
            closed += event.files
    await embedded.close()
    return stored, closed


async def test_no_acknowledged_instance_is_lost_and_none_is_in_two_batches(tmp_path: Path) -> None:
    port = free_port()
    door = NeighbourProcess(
        [sys.executable, "-m", "tests.component.upload.scp_process", str(tmp_path / "data"), str(port)],
        log=tmp_path / "door.log",
        cwd=_ROOT,
    )
    acknowledged: set[str] = set()
    for number in range(1, ROUNDS + 1):
        paths = made_up(
            tmp_path / f"in-{number}", 250, pixels=20_000, study=f"1.2.826.0.1.3680043.8.498.{number}"
        )
        door.start(lambda: listens(port))
        process, output = await _send(port, paths)
        await asyncio.sleep(0.1 + 0.2 * number)
        door.kill()
        await process.wait()
        told = (await output).count(b"Received C-STORE Response (Success)")
        assert told > 0
        acknowledged |= {read(path).sop_instance for path in paths[:told]}
    for _ in range(20):
        door.start(lambda: listens(port))
        await asyncio.sleep(2)
        door.stop()
        stored, closed = await _outcome(tmp_path / "data")
        if closed == len(stored):
            break
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored))
    assert closed == len(stored)
    assert list((tmp_path / "data" / "spool" / "upload").iterdir()) == []
