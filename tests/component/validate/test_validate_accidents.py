"""Readers that crash, hang or fail; processes that are killed; storage that is full."""

import os
import signal
from dataclasses import replace

import pytest

from kit.errors import NoSpace
from kit.ids import random_id
from kit.objects.port import Objects
from kit.service import Kit
from kit.workers import Workers
from schemas.shapes import FileState, ObjectPart
from schemas.upload import BatchReceived
from services.validate import tasks
from services.validate.jobs import BatchJob, BatchResult
from services.validate.reading import read_batch
from services.validate.settings import ValidateSettings
from services.validate.tasks import BatchReader
from tests.component.validate.conftest import SENDER, House, start
from tests.component.validate.files import batch_tar, dicom


@pytest.mark.usefixtures("fragile")
@pytest.mark.parametrize("content", [b"kill me", b"raise"])
async def test_a_file_that_breaks_its_reader_is_put_aside_alone(house: House, content: bytes) -> None:
    submission = await house.send([("a", dicom(number=1)), ("b", content), ("c", dicom(number=2))])
    tally = (await house.tally(submission)).tally
    assert (tally.stored, tally.quarantined) == (2, 1)
    file = (await house.files(submission))["1"]
    assert (file.state, file.code) == (FileState.QUARANTINED, "crashed-reader")
    (kept,) = house.kit.objects.list("quarantine/")
    assert house.kit.objects.read(kept.key) == content


@pytest.mark.usefixtures("fragile")
async def test_a_file_that_hangs_its_reader_is_put_aside_alone(kit_env: Kit) -> None:
    house = await start(kit_env, ValidateSettings(job_s=4))
    submission = await house.send([("a", dicom(number=1)), ("b", b"hang me"), ("c", dicom(number=2))])
    tally = (await house.tally(submission)).tally
    assert (tally.stored, tally.quarantined) == (2, 1)
    for step in house.service.stop:
        await step()


def _ends_on_the_second(objects: Objects, job: BatchJob) -> BatchResult:
    """As where a member can't even be put aside: the disk fails under it, perhaps."""
    with open(job.progress, "wb") as file:
        file.write((1).to_bytes(8, "big"))
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


async def test_a_file_that_ends_even_what_puts_it_aside_takes_its_batch_along_and_that_is_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "read_batch", _ends_on_the_second)
    submission = await house.send([("a", dicom(number=1)), ("b", b"hello")])
    tally = (await house.tally(submission)).tally
    assert (tally.sent, tally.quarantined) == (2, 2)
    (kept,) = house.kit.objects.list("quarantine/")
    assert dicom(number=1) in house.kit.objects.read(kept.key)


def _broken(objects: Objects, job: BatchJob) -> BatchResult:
    raise ZeroDivisionError


async def test_a_batch_that_cannot_be_read_is_put_aside_whole(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "read_batch", _broken)
    submission = await house.send([("a", dicom(number=1)), ("b", b"hello")])
    tally = (await house.tally(submission)).tally
    assert (tally.sent, tally.quarantined) == (2, 2)
    kept = list(house.kit.objects.list("quarantine/"))
    assert kept[0].size > 0


async def test_a_full_storage_makes_files_wait(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "read_batch", _full_then_fine)
    submission = await house.send([("a", dicom(number=1))])
    assert (await house.tally(submission)).tally.stored == 1


def _full_then_fine(objects: Objects, job: BatchJob) -> BatchResult:
    """The first try meets a full disk where the pack is written."""
    marker = job.progress + ".full"
    if os.path.exists(marker):
        return read_batch(objects, job)
    open(marker, "w").close()
    return read_batch(_NoRoom(objects), job)


class _NoRoom:
    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def __getattr__(self, name: str) -> object:
        return getattr(self._objects, name)

    def writer(self, key: str) -> object:
        raise NoSpace("The storage is full.")


@pytest.mark.parametrize(
    "tar",
    [
        b"",
        b"random" * 1000,
        bytes(10_000),
        batch_tar([(0, "a", dicom())])[:600],
        batch_tar([(0, "a", dicom(number=1)), (1, "b", dicom(number=2))])[:2500],
    ],
    ids=["empty", "random", "zeros", "cut", "cut-later"],
)
async def test_a_hostile_tar_leaves_every_announced_file_in_one_state(house: House, tar: bytes) -> None:
    submission = await house.open()
    await house.batch(submission, 1, tar, [0, 1, 1, 2])
    await house.close(submission, files=3, batches=1)
    tally = (await house.validated(submission)).tally
    assert tally.sent == 3
    assert tally.waiting == 0
    assert set(await house.files(submission)) == {"0", "1", "2"}


async def test_work_goes_on_after_a_restart_in_the_middle(kit_env: Kit, helpers: Workers) -> None:
    """Tasks of an earlier owner are taken over, and nothing is done twice."""
    kit = replace(kit_env, workers=helpers)
    first = await start(kit, ValidateSettings(concurrency=1))
    submission = await first.send([(str(n), dicom(number=n)) for n in range(1, 31)], per_batch=3, wait=False)
    for step in first.service.stop:
        await step()
    again = replace(kit, owner="another")
    reader = BatchReader(again, ValidateSettings())
    await reader.start()
    tally = await first.validated(submission)
    assert tally.tally.stored == 30
    await reader.runner.stop()


async def test_a_batch_whose_bytes_are_gone_is_said_to_be_missing(house: House) -> None:
    submission = await house.open()
    tar = batch_tar([(0, "a", dicom())])
    batch = random_id()
    await house.publish(
        BatchReceived.first(
            time=house.kit.clock(),
            key=batch,
            correlation_id=submission,
            submission_id=submission,
            batch_id=batch,
            sender=SENDER,
            parts=(ObjectPart(key=f"incoming/{submission}/{batch}/00000", size=len(tar)),),
            ordinals=(0,),
            sequence=1,
        )
    )
    await house.close(submission, files=1, batches=1)
    tally = await house.validated(submission)
    assert (tally.tally.sent, tally.tally.refused) == (1, 1)
    assert [finding.code for finding in tally.findings] == ["announced-but-missing"]
