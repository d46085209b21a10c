"""Several upload processes on one document store and one object store: no submission is closed over files
that wait in another process's spool."""

import asyncio
import io
import os
import tarfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kit.errors import Unavailable
from kit.service import Kit
from kit.spool import Spool
from schemas.shapes import Sender
from services.upload.documents import SUBMISSIONS, SubmissionDoc
from services.upload.keeping import Keeping
from services.upload.sessions import Sessions
from services.upload.settings import UploadSettings
from services.upload.submissions import Opening, Submissions
from tests.component.upload.conftest import serving, settings_of, stored_files, tar_of
from tests.component.upload.test_upload_stow import instance, stored
from tests.component.upload.test_upload_tus import created, opened, patched

LATER = timedelta(seconds=120)
SENDER = Sender(id="clinic", name="Clinic", origin="clinic", door="stow")


def process(kit: Kit, folder: Path, *, later: timedelta = timedelta()) -> Kit:
    """One of several: with its own disk, and perhaps at another time."""
    clock = kit.clock
    folder.mkdir(parents=True, exist_ok=True)
    return replace(kit, owner=folder.name, scratch=folder, exclusive=False, clock=lambda: clock() + later)


async def submissions_of(kit: Kit) -> list[SubmissionDoc]:
    return (await kit.documents.find(SUBMISSIONS, limit=100)).items


async def killed_with_a_file_in_its_spool(kit: Kit, settings: UploadSettings) -> str:
    """What a process leaves that took a file and was killed. Returns the submission's id."""
    submissions = Submissions(kit.documents, kit.clock, settings)
    keeping = Keeping(kit.scratch / "upload-open", submissions, lambda _: True, kit.clock)
    sessions = Sessions(Spool(kit.scratch / "upload"), kit.objects, submissions, settings, keeping.keep)

    async def chunks():
        yield instance()

    async with sessions.writer(SENDER) as writer:
        await writer.add("1.dcm", chunks())
        submission_id = writer.session.submission_id
        assert writer.file is not None
        await writer.file.release()
    return submission_id


async def until_closed(kit: Kit, submission_id: str) -> SubmissionDoc:
    async with asyncio.timeout(30):
        while True:
            found = await kit.documents.get(SUBMISSIONS, submission_id)
            assert found is not None
            if found.state == "closed":
                return found
            await asyncio.sleep(0.05)


async def has_looked(kit: Kit, settings: UploadSettings) -> None:
    """Returns once somebody has closed a submission that is as due as any, and that nobody keeps."""
    control, _ = await Submissions(kit.documents, kit.clock, settings).open(SENDER, Opening(), quiet_s=1)
    async with serving(process(kit, kit.scratch / "other", later=LATER), settings):
        await until_closed(kit, control.id)
    await kit.documents.delete(SUBMISSIONS, await until_closed(kit, control.id))


async def test_a_process_closes_nothing_while_files_wait_in_the_spool_of_another(
    accounts: Kit, tmp_path: Path
) -> None:
    waiting = settings_of(idle_s=3600, quiet_s=1)
    async with serving(process(accounts, tmp_path / "a"), waiting) as one:
        assert (await stored(one, instance())).status_code == 200
        await has_looked(accounts, waiting)
        assert (await stored(one, instance())).status_code == 200
    (left,) = await submissions_of(accounts)
    async with serving(process(accounts, tmp_path / "b"), waiting):
        end = await until_closed(accounts, left.id)
    assert (end.files, len(end.batches), end.reason) == (2, 1, "quiet")


async def test_after_a_crash_the_process_with_the_spool_closes_and_no_other_before(
    accounts: Kit, tmp_path: Path
) -> None:
    settings = settings_of(quiet_s=1)
    kit = process(accounts, tmp_path / "a")
    submission_id = await killed_with_a_file_in_its_spool(kit, settings)
    await has_looked(accounts, settings)
    (left,) = await submissions_of(accounts)
    assert (left.id, left.state, left.files) == (submission_id, "open", 0)
    async with serving(kit, settings):
        end = await until_closed(accounts, submission_id)
    assert (end.files, end.reason) == (1, "quiet")
    assert len(await submissions_of(accounts)) == 1
    assert list((tmp_path / "a" / "upload-open").iterdir()) == []


async def test_who_ends_in_order_lets_the_others_close(accounts: Kit, tmp_path: Path) -> None:
    settings = settings_of(quiet_s=60)
    async with serving(process(accounts, tmp_path / "a"), settings) as one:
        assert (await stored(one, instance())).status_code == 200
    (left,) = await submissions_of(accounts)
    assert (left.state, left.files, left.kept) == ("open", 1, False)
    async with serving(process(accounts, tmp_path / "b", later=timedelta(seconds=61)), settings):
        assert (await until_closed(accounts, left.id)).files == 1


async def test_who_ends_with_files_in_its_spool_keeps_what_they_belong_to(
    accounts: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(quiet_s=1)

    def away(*_: object) -> None:
        raise Unavailable("object store", "it is away")

    kit = process(accounts, tmp_path / "a")
    with monkeypatch.context() as patched:
        patched.setattr(type(accounts.objects), "adopt", away)
        async with serving(kit, settings) as one:
            assert (await stored(one, instance())).status_code == 200
    (left,) = await submissions_of(accounts)
    assert (left.state, left.files, left.kept) == ("open", 0, True)
    await has_looked(accounts, settings)
    async with serving(kit, settings):
        assert (await until_closed(accounts, left.id)).files == 1
    assert len(await submissions_of(accounts)) == 1


async def test_what_a_process_left_that_is_gone_for_good_is_closed_in_the_end(
    accounts: Kit, tmp_path: Path
) -> None:
    settings = settings_of(quiet_s=1, abandoned_s=3600)
    submission_id = await killed_with_a_file_in_its_spool(process(accounts, tmp_path / "a"), settings)
    much_later = timedelta(seconds=3605)
    async with serving(process(accounts, tmp_path / "b", later=much_later), settings):
        assert (await until_closed(accounts, submission_id)).files == 0
    # and when it comes back after all, its files are not lost
    async with serving(process(accounts, tmp_path / "a", later=much_later), settings) as one:
        async with asyncio.timeout(30):
            while sum(event.files for event in await one.events("submission-closed")) < 1:
                await asyncio.sleep(0.05)


async def test_a_long_wait_is_told_to_the_others(accounts: Kit, tmp_path: Path) -> None:
    """A process that is there, with files that can't be stored yet, moves the time at which others come."""
    settings = settings_of(quiet_s=1, abandoned_s=3600)
    kit = process(accounts, tmp_path / "a")
    submission_id = await killed_with_a_file_in_its_spool(kit, settings)
    late = process(accounts, tmp_path / "a", later=timedelta(seconds=2000))
    submissions = Submissions(kit.documents, late.clock, settings)
    keeping = Keeping(late.scratch / "upload-open", submissions, lambda _: True, late.clock, 0.01)
    before = await submissions.get(submission_id)
    await keeping.start()
    async with asyncio.timeout(30):
        while (after := await submissions.get(submission_id)).due_at == before.due_at:
            await asyncio.sleep(0.02)
    await keeping.stop()
    assert after.state == "open"
    assert after.due_at is not None
    assert after.due_at - late.clock() > timedelta(seconds=3500)


async def test_a_batch_comes_through_two_processes_and_its_submission_is_closed_by_a_third(
    accounts: Kit, tmp_path: Path
) -> None:
    settings = settings_of(part_bytes=40_000)
    batch = tar_of({"0/a": os.urandom(150_000), "1/b": b"two"})
    half = len(batch) // 2
    async with (
        serving(process(accounts, tmp_path / "a"), settings) as one,
        serving(process(accounts, tmp_path / "b"), settings) as two,
        serving(process(accounts, tmp_path / "c"), settings) as three,
    ):
        submission_id = await opened(one, declared_files=2)
        location = await created(one, submission_id, "0-1", len(batch))
        assert (await patched(one, location, 0, batch[:half])).status_code == 204
        early = await three.client.post(f"/api/submissions/{submission_id}/close")
        assert (early.status_code, early.json()["code"]) == (409, "incomplete")
        assert (await patched(two, location, half, batch[half:])).status_code == 204
        done = await three.client.post(f"/api/submissions/{submission_id}/close")
        assert done.json()["state"] == "closed"
        (event,) = await one.events("batch-received")
        assert stored_files(accounts, event) == {"0/a": batch_file(batch, "0/a"), "1/b": b"two"}
        (end,) = await one.events("submission-closed")
        assert (end.submission_id, end.files, end.batches) == (submission_id, 2, 1)


async def test_one_shipment_sent_to_two_processes_at_once_counts_once(accounts: Kit, tmp_path: Path) -> None:
    headers = {"idempotency-key": "shipment 7"}
    async with (
        serving(process(accounts, tmp_path / "a"), settings_of()) as one,
        serving(process(accounts, tmp_path / "b"), settings_of()) as two,
    ):
        answers = await asyncio.gather(
            *(each.client.post("/api/send", content=b"x" * 1000, headers=headers) for each in (one, two) * 4)
        )
        taken = [answer.json() for answer in answers if answer.status_code in (200, 201)]
        assert {answer.status_code for answer in answers} <= {200, 201, 409}
        assert len({answer["submission"] for answer in taken}) == 1
        assert sum(not answer["repeated"] for answer in taken) == 1
        (event,) = await one.events("batch-received")
        assert [len(content) for content in stored_files(accounts, event).values()] == [1000]
        objects = [stat.key for stat in accounts.objects.list("incoming/")]
        assert objects == [part.key for part in event.parts]


def batch_file(batch: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(batch)) as tar:
        member = tar.extractfile(name)
        assert member is not None
        return member.read()
