"""What may join a submission, and what the events say of it."""

from datetime import UTC, datetime, timedelta

import pytest

from kit.errors import Refused
from schemas.shapes import ObjectPart, Sender
from services.upload import rules
from services.upload.documents import SubmissionDoc
from services.upload.settings import UploadSettings

NOW = datetime(2024, 5, 1, tzinfo=UTC)
SETTINGS = UploadSettings(max_batches=3, max_submission_bytes=1000, max_files=100)
PART = (ObjectPart(key="incoming/s/b/00000", size=300),)


def submission(**changes: object) -> SubmissionDoc:
    sender = Sender(id="clinic", name="Clinic", origin="clinic")
    fields = {
        "id": "s",
        "account_id": "clinic",
        "sender": sender,
        "quiet_s": 60,
        "opened_at": NOW,
        "active_at": NOW,
    }
    return SubmissionDoc.model_validate({**fields, **changes})


def test_batches_are_counted_without_gaps():
    doc = submission()
    first = rules.add_batch(doc, "a", [(4, 5)], PART, NOW, SETTINGS)
    second = rules.add_batch(doc, "b", [(0, 3)], PART, NOW + timedelta(seconds=5), SETTINGS)
    assert (first.sequence, second.sequence, second.ordinals) == (1, 2, (0, 1, 2, 3))
    assert (doc.received, doc.files, doc.bytes) == ([(0, 5)], 6, 600)
    assert doc.due_at == NOW + timedelta(seconds=65)
    closed = rules.close(doc, "quiet", NOW)
    assert (closed.files, closed.batches, closed.reason, doc.due_at) == (6, 2, "quiet", None)


def test_the_same_fact_has_the_same_id():
    assert rules.opened(submission()).id == rules.opened(submission()).id
    assert rules.add_batch(submission(), "a", [(0, 0)], PART, NOW, SETTINGS).id == (
        rules.add_batch(submission(), "a", [(0, 0)], PART, NOW + timedelta(1), SETTINGS).id
    )


@pytest.mark.parametrize(
    ("changes", "ranges", "size", "code"),
    [
        ({"state": "closed"}, [(0, 0)], 1, "submission-closed"),
        ({"received": [(0, 5)]}, [(5, 6)], 1, "ordinals-received"),
        ({"declared_files": 5}, [(5, 5)], 1, "bad-ordinals"),
        ({}, [(100, 100)], 1, "bad-ordinals"),
        ({"batches": ["a", "b", "c"]}, [(0, 0)], 1, "too-many-batches"),
        ({"bytes": 900}, [(0, 0)], 101, "submission-too-large"),
    ],
)
def test_what_may_not_join(changes: dict, ranges: list, size: int, code: str):
    with pytest.raises(Refused) as refused:
        rules.check_batch(submission(**changes), ranges, size, SETTINGS)
    assert refused.value.code == code
    assert refused.value.text.endswith(".")


def test_ordinals_given_here_have_no_bound():
    rules.check_batch(submission(), [(100, 100)], 1, SETTINGS, numbered_here=True)
