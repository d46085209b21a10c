"""Files that were acknowledged find a submission, whatever became of the one they were meant for."""

from datetime import timedelta

import pytest

from kit.documents.port import Instant
from kit.service import Kit
from kit.spool import Spool, SpoolFile
from kit.spool_tar import member_name
from schemas.shapes import ObjectPart, Sender
from services.upload.documents import SUBMISSIONS, UPLOADS, UploadDoc
from services.upload.refusals import Conflict
from services.upload.sessions import store_session_batch
from services.upload.submissions import Batch, Opening, Submissions
from tests.component.upload.conftest import settings_of

SENDER = Sender(id="ct", name="CT", origin="ct", door="stow")


async def _bytes():
    yield b"content"


async def _spooled(kit: Kit, submission_id: str, *ordinals: int) -> SpoolFile:
    owner = {"kind": "session", "submission_id": submission_id, "sender": SENDER.model_dump(mode="json")}
    file = await Spool(kit.scratch / "upload").open(owner)
    for ordinal in ordinals:
        await file.append(member_name(ordinal, "x.dcm"), _bytes())
    return file


async def _holders(kit: Kit, batch_id: str) -> list[str]:
    found = await kit.documents.find(SUBMISSIONS, limit=100)
    return [doc.id for doc in found.items if batch_id in doc.batches]


@pytest.mark.parametrize("closed_before", [0, 1, 3])
async def test_late_files_go_into_a_submission_that_is_open(kit_env: Kit, closed_before: int) -> None:
    """A crash may leave the further submission empty, and silence close it before the files come."""
    settings = settings_of()
    submissions = Submissions(kit_env.documents, kit_env.clock, settings)
    first, _ = await submissions.open(SENDER, Opening())
    file = await _spooled(kit_env, first.id, 0)
    await submissions.close(first.id)
    for number in range(closed_before):
        name = f"late-{file.id}-{number}" if number else f"late-{file.id}"
        late, _ = await submissions.open(SENDER, Opening(client_id=name))
        await submissions.close(late.id)
    await store_session_batch(file, kit_env.objects, submissions, settings)
    assert len(await _holders(kit_env, file.id)) == 1


async def test_more_files_than_a_submission_may_announce_are_kept_all_the_same(kit_env: Kit) -> None:
    """They were acknowledged one by one: several requests may run beyond the bound side by side."""
    settings = settings_of(max_files=10)
    submissions = Submissions(kit_env.documents, kit_env.clock, settings)
    first, _ = await submissions.open(SENDER, Opening())
    file = await _spooled(kit_env, first.id, 9, 10, 11)
    await store_session_batch(file, kit_env.objects, submissions, settings)
    assert await _holders(kit_env, file.id) == [first.id]


async def test_a_submission_does_not_close_over_an_upload_that_is_whole_but_not_in_it_yet(
    kit_env: Kit,
) -> None:
    submissions = Submissions(kit_env.documents, kit_env.clock, settings_of())
    submission, _ = await submissions.open(SENDER, Opening())
    now: Instant = kit_env.clock()
    upload = UploadDoc(
        id="u", account_id="ct", submission_id=submission.id, length=1, ordinals=[(0, 0)], offset=1,
        state="complete", expires_at=now + timedelta(hours=1), active_at=now,
    )  # fmt: skip
    await kit_env.documents.save(UPLOADS, upload)
    with pytest.raises(Conflict, match="under way"):
        await submissions.close(submission.id)
    part = ObjectPart(key=f"incoming/{submission.id}/u/00000", size=1)
    await submissions.register(submission.id, Batch("u", [(0, 0)], (part,)))
