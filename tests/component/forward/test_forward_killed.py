"""SIGKILL in the middle of deliveries: all arrive, and next to nothing is sent twice."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pydicom

from anteroom.embedded import open_embedded
from kit.destinations import DESTINATIONS, Destination
from kit.documents.port import Documents
from kit.service import Site
from schemas.portal import StudyDecided
from services.forward.models import DELIVERIES, Delivery
from services.forward.rules.states import State
from tests.component.forward.badpacs import ScriptedPacs
from tests.component.forward.studies import ct, decided, make_study

COUNT = 150
KILLS = 3


async def prepare(data: Path, files: list[Path], pacs: ScriptedPacs) -> StudyDecided:
    embedded = open_embedded(data, Site())
    await embedded.kit.bus.start()
    destination = Destination(**pacs.destination(commitment=False))
    await embedded.kit.documents.save(DESTINATIONS, destination)
    event = decided(make_study(embedded.kit, files, per_pack=40), "pacs")
    await embedded.kit.bus.publish([event])
    await embedded.close()
    return event


async def delivery_of(documents: Documents, event: StudyDecided) -> Delivery | None:
    page = await documents.find(DELIVERIES, {"decision_id": event.decision.id})
    return page.items[0] if page.items else None


async def state_after(data: Path, event: StudyDecided) -> tuple[Delivery | None, int]:
    embedded = open_embedded(data, Site())
    try:
        said = await embedded.kit.bus.read(after=0, topics=("study-forwarded",), limit=100)
        return await delivery_of(embedded.kit.documents, event), len(said)
    finally:
        await embedded.close()


@contextmanager
def child(data: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """Killed at the end of the block, with its helper processes, which are of its group."""
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.component.forward.child", str(data)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 120
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < until, "stuck"
        time.sleep(0.001)


def reached(pacs: ScriptedPacs, goal: int) -> bool:
    return len(pacs.stores) >= goal


def test_killed_at_random_moments(tmp_path: Path) -> None:
    chance = random.Random(4711)
    files = ct(tmp_path / "ct", COUNT)
    pacs = ScriptedPacs()
    # Slow enough that a kill falls into the middle.
    pacs.before_answer = lambda uid: time.sleep(0.004)
    data = tmp_path / "data"
    with pacs.running():
        event = asyncio.run(prepare(data, files, pacs))
        for _ in range(KILLS):
            goal = len(pacs.stores) + chance.randrange(1, COUNT // KILLS)
            with child(data) as process:
                wait_for(partial(reached, pacs, goal), process)
        with child(data) as process:
            wait_for(lambda: len(pacs.kept) == COUNT, process)
            time.sleep(chance.random())
        proven, patience = 0, 4
        while not proven:
            assert patience < 100
            with child(data):
                time.sleep(patience)
            patience *= 2
            delivery, proven = asyncio.run(state_after(data, event))
    assert delivery is not None
    assert delivery.state is State.PROVEN, delivery.last_error
    assert proven == 1
    assert set(pacs.kept) == {str(pydicom.dcmread(path).SOPInstanceUID) for path in files}
    assert len(pacs.stores) <= COUNT + KILLS + 1
    assert {dataset.PatientID for dataset in pacs.kept.values()} == {"LOCAL-4711"}
