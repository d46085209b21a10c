"""SIGKILL of the whole process tree at random moments: every file ends in one state, nothing twice."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from anteroom.embedded import open_embedded
from kit.bus.port import Bus
from kit.service import Service, Site
from schemas.shapes import FileState
from tests.component.validate.conftest import House
from tests.component.validate.files import dicom
from tests.component.validate.test_validate_archives import zipped

ROUNDS = 6
CHANCE = random.Random(7)


def _run(data: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.component.validate.running", str(data)],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def _run_and_kill(data: Path) -> None:
    process = _run(data)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(CHANCE.uniform(0, 1.2))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


async def test_killed_again_and_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    embedded = open_embedded(data, Site())
    house = House(embedded.kit, Service("validate"))
    submissions = []
    for study in range(1, 5):
        files = [(f"{n}.dcm", dicom(f"1.2.{study}", n)) for n in range(1, 61)]
        files += [
            ("again.dcm", dicom(f"1.2.{study}", 1)),
            ("note.txt", b"hello"),
            ("viewer.exe", b"MZ" + bytes(50)),
            ("more.zip", zipped({f"{n}.dcm": dicom(f"1.2.{study}", n) for n in range(61, 101)})),
        ]
        submissions.append(await house.send(files, per_batch=8, wait=False))
    await embedded.close()

    for _ in range(ROUNDS):
        await asyncio.to_thread(_run_and_kill, data)
    process = _run(data)
    assert await asyncio.to_thread(process.wait, 120) == 0
    assert process.stdout is not None
    process.stdout.close()

    embedded = open_embedded(data, Site())
    house = House(embedded.kit, Service("validate"))
    for submission in submissions:
        tally = (await house.tally(submission)).tally
        assert (tally.sent, tally.stored, tally.duplicate) == (103, 100, 1)
        assert (tally.document, tally.refused, tally.waiting) == (1, 1, 0)
        (study,) = await house.studies(submission)
        assert study.study.instances == 100
        positions = [
            (file.pack_id, file.position)
            for file in (await house.files(submission)).values()
            if file.state is FileState.STORED
        ]
        assert len(set(positions)) == 100
        kept = {pack.id: pack for pack in study.study.packs}
        assert all(pack in kept and place not in kept[pack].skipped for pack, place in positions)
        assert all(embedded.kit.objects.stat(pack.key) for pack in study.study.packs)
    assert not list(embedded.kit.objects.list("incoming/"))
    assert max(Counter(await _ids(embedded.kit.bus)).values()) == 1
    await embedded.close()


async def _ids(bus: Bus) -> list[str]:
    return [event.id for _, event in await bus.read(after=0, limit=100_000)]
