"""Documents and files put aside go by days of their own, once no study of theirs has images here."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from kit.documents import walking
from kit.errors import PermanentError, Stale
from kit.ids import derived_id
from kit.objects.port import Objects
from schemas.portal import SubmissionExpired
from schemas.shapes import Tally
from schemas.validate import StudyRemoved, SubmissionCleared
from services.portal import retention_files, retention_files_ledger
from services.portal.models import AUDIT
from services.portal.retention_files_ledger import keep, release
from services.portal.retention_lines import lines
from services.portal.retention_models import FILE_EXPIRIES, POLICIES, FileExpiry
from services.portal.sharing import Wish, share
from services.portal.tracking.handlers import study_removed
from services.portal.tracking.models import TRACKS, Track
from services.validate import clearing, tasks
from services.validate.clearing import clear_files, submission_expired
from services.validate.jobs import BatchJob, BatchResult
from services.validate.models import BATCHES, TALLIES
from tests.component.retention.conftest import CHIEF, Room, policy, second_delete_fails
from tests.component.validate.files import dicom
from tests.conftest import settle

PDF = b"%PDF-1.4 a report"


async def send(room: Room, *files: bytes, uid: str = "") -> str:
    """A submission of these files and, where a study is named, one image of it."""
    named = [(f"{number}.bin", data) for number, data in enumerate(files)]
    images = [("image.dcm", dicom(study=uid, number=1))] if uid else []
    submission = await room.sender.send([*images, *named])
    await settle(room.kit)
    return submission


async def left(room: Room, uid: str, *files: bytes) -> tuple[str, str]:
    """A submission whose study was declined, and whose images have gone; and that study."""
    submission = await send(room, *files, uid=uid)
    [study] = (await room.sender.tally(submission)).studies
    await room.decline(study)
    room.clock.go(days=31)
    await policy(room)
    await announce_and_go(room)
    assert room.objects(study) == []
    return submission, study


async def announce_and_go(room: Room) -> None:
    await room.look()
    await room.go(hours=49)
    await room.expire()


def kept(room: Room, submission: str, zone: str = "documents") -> int:
    return len(list(room.kit.objects.list(f"{zone}/{submission}/")))


async def announced(room: Room) -> list[FileExpiry]:
    return [one for one, _ in await room.retention.files.listed("announced")]


async def track(room: Room, submission: str) -> Track:
    found = await room.kit.documents.get(TRACKS, submission)
    assert found is not None
    return found


async def only(room: Room, topic: str) -> Any:
    [(_, event)] = await room.kit.bus.read(topics=[topic])
    return event


@pytest.mark.usefixtures("fragile")
async def test_both_go_by_their_own_days_after_the_images_and_the_sums_stay(room: Room):
    submission, _ = await left(room, "1.2.1", PDF, b"raise")
    other = await send(room, PDF, uid="1.2.2")
    sums = Tally(sent=3, stored=1, document=1, quarantined=1)
    await room.go(days=400)
    await room.expire()
    assert await announced(room) == [], "off until it is set"
    assert (kept(room, submission), kept(room, submission, "quarantine")) == (1, 1)
    await policy(room, documents_days=500, quarantine_days=30)
    await announce_and_go(room)
    assert (kept(room, submission), kept(room, submission, "quarantine")) == (1, 0)
    await policy(room, documents_days=30, quarantine_days=30)
    await announce_and_go(room)
    assert (kept(room, submission), kept(room, other)) == (0, 1)
    tally = await room.kit.documents.get(TALLIES, submission)
    assert tally is not None
    assert (tally.tally, set(tally.gone)) == (sums, {"documents", "quarantine"})
    assert tally.gone["documents"].bytes == len(PDF)
    known = await track(room, submission)
    assert (known.tally, set(known.gone), known.leaving) == (sums, {"documents", "quarantine"}, {})
    removed = [one for one, _ in await room.retention.files.listed("removed")]
    assert {(one.rule, one.files) for one in removed} == {("documents", 1), ("quarantine", 1)}
    page = await room.kit.documents.find(AUDIT, {"object_id": submission}, order="time", limit=50)
    entries = [entry.action for entry in page.items]
    assert entries == ["files-expired", "files-removed"] * 2
    assert await room.look() == []
    assert await announced(room) == []


async def test_documents_without_a_study_count_from_when_they_came(room: Room):
    submission = await send(room, PDF)
    await policy(room, documents_days=30)
    await room.go(days=29)
    assert await announced(room) == []
    await room.go(days=2)
    assert [one.submission_id for one in await announced(room)] == [submission]
    await room.expire()
    assert kept(room, submission) == 1, "announced, not gone"
    await room.go(hours=49)
    await room.expire()
    assert kept(room, submission) == 0


async def test_what_is_wrong_with_a_batch_as_a_whole_goes_as_a_whole(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tasks, "read_batch", _broken)
    submission = await send(room, PDF)
    assert kept(room, submission, "quarantine") == 1
    await policy(room, quarantine_days=1)
    await room.go(days=2)
    await announce_and_go(room)
    assert kept(room, submission, "quarantine") == 0


def _broken(objects: Objects, job: BatchJob) -> BatchResult:
    raise PermanentError("it can't be read")


async def test_a_submission_that_is_not_closed_keeps_its_files(room: Room):
    submission = await send(room, PDF)
    known = await track(room, submission)
    assert known.documents_since is not None
    known.closed_at = None
    retention_files.rules.refresh(known)
    await room.kit.documents.save(TRACKS, known)
    await policy(room, documents_days=1)
    await room.go(days=3)
    assert await announced(room) == []


async def test_images_that_come_back_before_the_hour_keep_the_files(room: Room):
    submission, study = await left(room, "1.2.1", PDF)
    await policy(room, documents_days=5)
    await room.go(days=6)
    assert [one.submission_id for one in await announced(room)] == [submission]
    again = await send(room, uid="1.2.1")
    await room.go(hours=49)
    await room.expire()
    assert await announced(room) == []
    assert kept(room, submission) == 1
    assert study not in (await track(room, submission)).left
    await room.decline(study)
    await room.go(days=31)
    await announce_and_go(room)
    assert room.objects(study) == []
    await room.go(days=6)
    assert {one.submission_id for one in await announced(room)} == {submission}, "and go after them"
    assert again != submission


async def test_images_that_come_at_the_last_moment_keep_the_files(room: Room):
    """Decided, and then there are images when validate hears of it."""
    submission, study = await left(room, "1.2.1", PDF)
    known, case = await track(room, submission), await room.case(study)
    assert case.study is not None
    known.leaving["documents"] = room.clock()
    await room.kit.documents.save(TRACKS, known)
    late = SubmissionExpired.first(
        time=room.clock(), key=submission, correlation_id=submission, submission_id=submission,
        submission_revision=known.revision, rule="documents", studies={study: case.study.revision},
    )  # fmt: skip
    await send(room, uid="1.2.1")
    await room.kit.bus.publish([late])
    await settle(room.kit)
    assert kept(room, submission) == 1
    assert await room.kit.bus.read(topics=["submission-cleared"]) == []
    await room.retention.files._kit.documents.save(
        FILE_EXPIRIES,
        FileExpiry(
            id=f"{submission}-documents", submission_id=submission, rule="documents", state="removing",
            changed_at=room.clock(),
        ),
    )  # fmt: skip
    for _ in range(2):
        room.clock.go(hours=1)
        await room.look()
    assert (await track(room, submission)).leaving == {}
    assert await room.retention.files.listed("removing") == []
    await room.decline(study)
    await room.go(days=31)
    await announce_and_go(room)
    assert room.objects(study) == []
    await room.kit.bus.publish([late.model_copy(update={"id": "again"})])
    await settle(room.kit)
    assert kept(room, submission) == 1, "of a time before the images that have gone meanwhile"


@pytest.mark.parametrize(
    "changes", [{"submission_revision": 7}, {"studies": {}}, {"rule": "something-else"}, {"rule": "studies"}]
)
async def test_what_was_decided_on_something_else_changes_nothing(room: Room, changes: dict[str, Any]):
    submission, study = await left(room, "1.2.1", PDF)
    case = await room.case(study)
    assert case.study is not None
    fields: dict[str, Any] = {
        "submission_revision": 1, "rule": "documents", "studies": {study: case.study.revision}, **changes,
    }  # fmt: skip
    event = SubmissionExpired.first(
        time=room.clock(), key=submission, correlation_id="x", submission_id=submission, **fields
    )
    await submission_expired(room.kit, event)
    await settle(room.kit)
    assert await room.kit.bus.read(topics=["submission-cleared"]) == []
    assert kept(room, submission) == 1


async def test_it_ends_the_same_when_it_is_cut_off_and_told_twice(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    submission, _ = await left(room, "1.2.1", PDF, PDF + b"2", PDF + b"3")
    await policy(room, documents_days=5)
    await room.go(days=6)
    await room.go(hours=49)
    calls = second_delete_fails(room, monkeypatch)
    await room.expire()
    assert kept(room, submission) == 0
    assert len(calls) > 3
    expired, cleared = await only(room, "submission-expired"), await only(room, "submission-cleared")
    assert isinstance(expired, SubmissionExpired)
    assert isinstance(cleared, SubmissionCleared)
    assert (cleared.files, cleared.bytes) == (3, 3 * len(PDF) + 2)
    before = await track(room, submission)
    # one more of the submission, under a name that no batch of that save has
    room.kit.objects.put(f"documents/{submission}/later", [b"new"])
    await submission_expired(room.kit, expired)
    await clear_files(room.kit, cleared)
    await room.kit.bus.publish([cleared.model_copy(update={"id": "again"})])
    await settle(room.kit)
    assert [stat.key for stat in room.kit.objects.list("documents/")] == [f"documents/{submission}/later"]
    assert (await track(room, submission)).gone == before.gone
    assert await room.kit.bus.dead_letters(limit=10) == []


async def test_cut_off_between_the_track_and_its_line_it_goes_on(room: Room, monkeypatch: pytest.MonkeyPatch):
    submission = await send(room, PDF)
    await policy(room, documents_days=1)
    await room.go(days=2)
    [expiry] = await announced(room)
    await room.go(hours=49)
    save = type(room.kit.documents).save

    async def cut(self: Any, collection: Any, doc: Any, emits: Any = ()) -> Any:
        if collection.name == "file-expiries":
            raise OSError("the process ended")
        return await save(self, collection, doc, emits)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="ended"):
        patch.setattr(type(room.kit.documents), "save", cut)
        await room.retention.files.expire(expiry)
    for again in await announced(room):
        await room.retention.files.expire(again)
    await settle(room.kit)
    assert kept(room, submission) == 0
    await only(room, "submission-expired")
    [(line, _)] = await room.retention.files.listed("removed")
    assert line.submission_id == submission


async def test_a_person_keeps_them_until_they_are_let_go(room: Room):
    submission = await send(room, PDF)
    await policy(room, documents_days=1)
    await room.go(days=2)
    assert len(await announced(room)) == 1
    await keep(room.kit, CHIEF, submission, "documents", "court case")
    await room.go(days=30)
    await room.expire()
    assert await announced(room) == []
    assert kept(room, submission) == 1
    await release(room.kit, CHIEF, submission, "documents")
    await room.go(hours=1)
    await announce_and_go(room)
    assert kept(room, submission) == 0
    with pytest.raises(Stale):
        await keep(room.kit, CHIEF, submission, "documents")


async def test_what_is_kept_is_in_the_list_of_what_is_kept(room: Room, monkeypatch: pytest.MonkeyPatch):
    submission = await send(room, PDF)
    save = type(room.kit.documents).save

    async def cut(self: Any, collection: Any, doc: Any, emits: Any = ()) -> Any:
        if collection is TRACKS:
            raise OSError("the process ended")
        return await save(self, collection, doc, emits)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="ended"):
        patch.setattr(type(room.kit.documents), "save", cut)
        await keep(room.kit, CHIEF, submission, "documents")
    await room.look()
    assert (await track(room, submission)).kept == ["documents"]


async def test_a_link_that_works_keeps_them(room: Room):
    submission, study = await left(room, "1.2.1", PDF)
    case = await room.case(study)
    gone = case.gone
    case.gone = None
    await room.kit.documents.save(retention_files.CASES, case)
    await share(room.kit, CHIEF, study, Wish(label="Dr. A", days=20, protection="none"))
    case = await room.case(study)
    case.gone = gone
    await room.kit.documents.save(retention_files.CASES, case)
    await policy(room, documents_days=5)
    await room.go(days=10)
    assert await announced(room) == []
    await room.go(days=15)
    assert [one.submission_id for one in await announced(room)] == [submission]


async def test_a_clock_that_leapt_lets_nothing_go(room: Room):
    submission = await send(room, PDF)
    await policy(room, documents_days=1)
    await room.go(days=2)
    await room.go(hours=30)
    right = room.clock.now
    room.clock.now = right + timedelta(days=3650)
    await room.look()
    await room.expire()
    assert kept(room, submission) == 1
    room.clock.now = right
    await room.look()
    [expiry] = await announced(room)
    assert expiry.due_at == right + timedelta(hours=48), "and has its notice anew"


async def test_no_more_than_some_at_a_look_and_in_an_hour(room: Room, monkeypatch: pytest.MonkeyPatch):
    sent = [await send(room, PDF, bytes(number)) for number in (1, 2)]
    await policy(room)
    await room.go(days=2)
    monkeypatch.setattr(retention_files, "MOST_A_LOOK", 1)
    monkeypatch.setattr(retention_files_ledger, "_PAGE", 1)
    monkeypatch.setattr(walking, "_PAGE", 1)
    await policy(room, documents_days=1)
    await room.look()
    assert len(await announced(room)) == 1
    assert (await room.retention.policy()).capped == ["files"]
    await room.look()
    assert len(await announced(room)) == 2
    assert (await room.retention.policy()).capped == []
    monkeypatch.setattr(retention_files, "MOST_AN_HOUR", 1)
    await room.go(hours=49)
    await room.expire()
    assert sorted(kept(room, one) for one in sent) == [0, 1]
    await room.go(hours=2)
    await room.expire()
    assert [kept(room, one) for one in sent] == [0, 0]


async def test_submissions_of_an_earlier_version_are_brought_along(room: Room):
    submission, _ = await left(room, "1.2.1", PDF)
    known = await track(room, submission)
    known.left, known.documents_since = {}, None
    await room.kit.documents.save(TRACKS, known)
    stored = await room.retention.policy()
    stored.tracks_caught_up = False
    await room.kit.documents.save(POLICIES, stored)
    await policy(room, documents_days=5)
    await room.go(days=6)
    assert [one.submission_id for one in await announced(room)] == [submission]


async def test_over_http_and_on_the_pages(room: Room):
    submission = await send(room, PDF)
    room.clock.go(days=3)
    transport = httpx.ASGITransport(app=room.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:

        async def ask(method: str, path: str, who: str = "chief", **more: Any) -> httpx.Response:
            headers = {"authorization": f"Bearer {who}"}
            return await client.request(method, path, headers=headers, **more)

        figure = (await ask("POST", "/api/retention/figure", json={"documents_days": 2})).json()
        assert (figure["studies"], figure["submissions"], figure["files"]) == (0, 1, 1)
        saved = (await ask("PUT", "/api/retention", json={"documents_days": 2})).json()
        assert (saved["documents_days"], saved["quarantine_days"], saved["files"]) == (2, None, 1)
        page = await ask("GET", "/admin/storage")
        assert "Nothing proves that they are anywhere else" in page.text
        assert "This would remove files of 1 submission now." in page.text
        await room.look()
        kept_at = f"/api/retention/kept-files/{submission}/documents"
        assert (await ask("PUT", kept_at, "approver", json={})).status_code == 403
        assert (await ask("PUT", kept_at, json={"reason": "teaching"})).status_code == 204
        shown = (await ask("GET", "/api/retention")).json()
        assert [one["reason"] for one in shown["kept_files"]] == ["teaching"]
        assert (await ask("DELETE", kept_at)).status_code == 204
        wrong = f"/api/retention/kept-files/{submission}/images"
        assert (await ask("PUT", wrong, json={})).status_code == 404
        await room.look()
        shown = (await ask("GET", "/api/retention")).json()
        assert [one["files"] for one in shown["announced_files"]] == [1]
        [paper] = (await ask("GET", f"/api/submissions/{submission}/documents")).json()["documents"]
        assert (paper["removed_at"], (await ask("GET", paper["address"])).status_code) == (None, 200)
        await room.go(hours=73)
        await room.expire()
        [paper] = (await ask("GET", f"/api/submissions/{submission}/documents")).json()["documents"]
        assert paper["removed_at"] is not None
        answer = await ask("GET", paper["address"])
        assert (answer.status_code, answer.json()["code"]) == (410, "document-removed")
        outcome = (await ask("GET", f"/api/submissions/{submission}/outcome")).json()
        assert (outcome["document"], outcome["files"][0]["removed_at"] is not None) == (1, True)
        page = await ask("GET", f"/s/{submission}")
        assert "The documents were removed here" in page.text
        page = await ask("GET", "/admin/storage")
        assert "that went lately" in page.text


def _deaf(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """validate does not act on what it hears, as if it were down; until the answer is called."""
    right = clearing._as_decided

    async def never(*_: Any) -> bool:
        return False

    monkeypatch.setattr(clearing, "_as_decided", never)
    return lambda: monkeypatch.setattr(clearing, "_as_decided", right)


async def _decided_unheard(room: Room, hears: Callable[[], None]) -> tuple[str, SubmissionExpired]:
    """A submission whose document was let go, which validate has yet to hear."""
    submission = await send(room, PDF)
    await policy(room, documents_days=1)
    await room.go(days=2)
    await announce_and_go(room)
    assert set((await track(room, submission)).leaving) == {"documents"}
    hears()
    return submission, await only(room, "submission-expired")


async def _removing(room: Room) -> int:
    return len(await room.retention.files.listed("removing"))


async def test_off_means_off_for_what_was_decided_and_not_done(
    room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    submission, late = await _decided_unheard(room, _deaf(monkeypatch))
    await policy(room)
    await room.go(hours=24)
    with pytest.raises(Stale, match="being removed"):
        await keep(room.kit, CHIEF, submission, "documents")
    room.clock.go(minutes=1)
    await room.look()
    assert ((await track(room, submission)).leaving, await _removing(room)) == ({}, 0)
    await submission_expired(room.kit, late)
    await submission_expired(room.kit, late.model_copy(update={"not_after": None}))
    await settle(room.kit)
    assert kept(room, submission) == 1
    assert caplog.text.count("heard of too late") == 2
    await keep(room.kit, CHIEF, submission, "documents")
    assert (await track(room, submission)).kept == ["documents"]


async def test_what_was_not_removed_in_time_is_announced_anew(room: Room, monkeypatch: pytest.MonkeyPatch):
    submission, _ = await _decided_unheard(room, _deaf(monkeypatch))
    await room.go(hours=25)
    assert await _removing(room) == 1
    await room.go(hours=2)
    assert await _removing(room) == 0
    [again] = await announced(room)
    assert again.due_at is not None
    assert again.due_at > room.clock() + timedelta(hours=46)
    await announce_and_go(room)
    assert kept(room, submission) == 0
    assert (await track(room, submission)).let_go == 2


async def test_within_the_day_it_is_still_carried_out(room: Room, monkeypatch: pytest.MonkeyPatch):
    submission, late = await _decided_unheard(room, _deaf(monkeypatch))
    room.clock.now = late.time + timedelta(hours=24)
    await submission_expired(room.kit, late)
    await settle(room.kit)
    assert kept(room, submission) == 0
    assert late.not_after == room.clock()


async def test_what_validate_says_counts_however_late_it_is_heard(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    submission, late = await _decided_unheard(room, _deaf(monkeypatch))
    await policy(room)
    await room.go(hours=25)
    await keep(room.kit, CHIEF, submission, "documents")
    room.clock.now, now = late.time, room.clock.now
    await submission_expired(room.kit, late)
    room.clock.now = now
    await settle(room.kit)
    assert kept(room, submission) == 0
    assert set((await track(room, submission)).gone) == {"documents"}
    assert [one.state for one, _ in await room.retention.files.listed("removed")] == ["removed"]
    assert await room.retention.files.listed("kept") == []


async def test_cut_off_before_its_line_said_so_a_look_does_not_lose_it(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    hears = _deaf(monkeypatch)
    submission, _ = await _decided_unheard(room, hears)
    [(line, _)] = await room.retention.files.listed("removing")
    line.state = "announced"
    await room.kit.documents.save(FILE_EXPIRIES, line)
    await room.go(hours=1)
    [still] = await announced(room)
    await room.retention.files.expire(still)
    assert await _removing(room) == 1
    await room.go(hours=26)
    assert (await track(room, submission)).leaving == {}


async def test_a_study_whose_removal_was_not_heard_in_order_is_made_up_for(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    """study-removed came before it was known that this submission brought the study: nothing was noted."""
    sent = [(await left(room, f"1.2.{number}", PDF))[0] for number in (1, 2, 3)]
    for submission in sent:
        known = await track(room, submission)
        known.left, known.documents_since = {}, None
        await room.kit.documents.save(TRACKS, known)
    monkeypatch.setattr(retention_files_ledger, "_PAGE", 2)
    monkeypatch.setattr(retention_files_ledger, "CAUGHT_UP_A_LOOK", 2)
    await policy(room, documents_days=5)
    counted = []
    for _ in range(3):
        await room.look()
        counted.append(sum([(await track(room, one)).documents_since is not None for one in sent]))
    assert counted[0] < 3
    assert counted[-1] == 3


async def test_images_that_left_once_more_before_a_look_hold_nothing_up(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    submission, study = await left(room, "1.2.1", PDF)
    hears = _deaf(monkeypatch)
    await policy(room, documents_days=5)
    await room.go(days=6)
    await room.go(hours=49)
    await room.expire()
    assert set((await track(room, submission)).leaving) == {"documents"}
    hears()
    # came, was declined and went again, all of it by hand and between two looks
    case = await room.case(study)
    assert case.study is not None
    event = StudyRemoved.first(
        time=room.clock(), key=study, correlation_id=study, study_id=study, rule="declined",
        revision=case.study.revision + 2, generation=3, bytes=1,
    )  # fmt: skip
    await study_removed(room.kit, event)
    known = await track(room, submission)
    assert (known.leaving, known.left[study].revision) == ({}, case.study.revision + 2)
    await keep(room.kit, CHIEF, submission, "documents")


async def test_days_count_anew_from_when_images_left_once_more(room: Room):
    submission, study = await left(room, "1.2.1", PDF)
    await policy(room, documents_days=5)
    await room.go(days=6)
    case = await room.case(study)
    assert case.study is not None
    assert case.gone is not None
    case.study = case.study.model_copy(update={"revision": case.study.revision + 2})
    case.gone = case.gone.model_copy(update={"time": room.clock()})
    await room.kit.documents.save(retention_files.CASES, case)
    await room.go(hours=49)
    await room.expire()
    assert kept(room, submission) == 1
    assert (await announced(room), (await track(room, submission)).leaving) == ([], {})


async def test_what_was_released_while_a_look_went_on_is_not_kept(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    submission = await send(room, PDF)
    await keep(room.kit, CHIEF, submission, "documents")
    listed = [one async for one in lines(room.kit, FILE_EXPIRIES, "kept")]
    await release(room.kit, CHIEF, submission, "documents")

    async def stale(*_: Any) -> AsyncIterator[FileExpiry]:
        for one in listed:
            yield one

    monkeypatch.setattr(retention_files_ledger, "lines", stale)
    await retention_files_ledger.finish_keeping(room.kit)
    assert (await track(room, submission)).kept == []


async def test_what_goes_while_it_is_being_kept_breaks_off_no_look(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    submission = await send(room, PDF)
    await keep(room.kit, CHIEF, submission, "documents")
    known = await track(room, submission)
    known.kept = []
    await room.kit.documents.save(TRACKS, known)
    read = type(room.kit.documents).get

    async def goes_meanwhile(self: Any, collection: Any, doc_id: str) -> Any:
        if collection is FILE_EXPIRIES:
            now = await read(self, TRACKS, submission)
            now.leaving["documents"] = room.clock()
            await self.save(TRACKS, now)
        return await read(self, collection, doc_id)

    with monkeypatch.context() as patch:
        patch.setattr(type(room.kit.documents), "get", goes_meanwhile)
        await retention_files_ledger.finish_keeping(room.kit)
    assert (await track(room, submission)).kept == []


async def test_what_was_settled_after_the_clearing_is_not_said_to_have_gone(room: Room):
    submission = await send(room, PDF)
    await policy(room, documents_days=1)
    await room.go(days=2)
    await announce_and_go(room)
    assert kept(room, submission) == 0
    page = await room.kit.documents.find(BATCHES, {"submission_id": submission}, order="place", limit=9)
    [batch] = page.items
    late = batch.model_copy(update={"id": "late", "version": 0, "place": f"{batch.place}-late"})
    await room.kit.documents.save(BATCHES, late)
    room.kit.objects.put(f"documents/{submission}/{derived_id('late', late.files[0].id)}", [PDF])
    transport = httpx.ASGITransport(app=room.app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://here", headers={"authorization": "Bearer chief"}
    ) as client:
        papers = (await client.get(f"/api/submissions/{submission}/documents")).json()["documents"]
        assert [paper["removed_at"] is None for paper in papers] == [False, True]
        assert [(await client.get(paper["address"])).status_code for paper in papers] == [410, 200]
        outcome = (await client.get(f"/api/submissions/{submission}/outcome")).json()
        assert [file["removed_at"] is None for file in outcome["files"]] == [False, True]


@pytest.mark.usefixtures("fragile")
async def test_an_image_put_aside_for_a_conflict_keeps_all_that_came_with_it(room: Room):
    """It lies in its study, which stays: no figure and no line counts such images."""
    changed = dicom(study="1.2.1", number=1, pixels=b"\5\6\7\x08")
    submission = await send(room, changed, b"raise", PDF, uid="1.2.1")
    tally = await room.sender.tally(submission)
    assert tally.tally.quarantined == 2
    await room.decline(tally.studies[0])
    await policy(room, documents_days=1, quarantine_days=1)
    await room.go(days=90)
    await room.expire()
    assert await room.retention.files.figure({"documents": 1, "quarantine": 1}) == (0, 0)
    assert await announced(room) == []
    assert (kept(room, submission), kept(room, submission, "quarantine")) == (1, 1)


async def _saved_by_an_older_version(room: Room, submission: str) -> None:
    """It does not know any of these fields."""
    known = await track(room, submission)
    new = {"left", "kept", "leaving", "gone", "let_go", "documents_since", "quarantine_since"}
    plain = Track.model_validate(known.model_dump(exclude=new))
    plain.version = known.version
    await room.kit.documents.save(TRACKS, plain)


async def test_what_an_older_version_drops_deletes_nothing_that_is_kept(room: Room):
    submission = await send(room, PDF)
    await policy(room, documents_days=1)
    await keep(room.kit, CHIEF, submission, "documents")
    for _ in range(3):
        await _saved_by_an_older_version(room, submission)
        await room.go(days=2)
        await announce_and_go(room)
    assert kept(room, submission) == 1
    assert (await track(room, submission)).kept == ["documents"]
    assert await room.kit.bus.read(topics=["submission-expired"]) == []


async def test_what_an_older_version_drops_is_not_let_go_twice(room: Room):
    submission = await send(room, PDF)
    await policy(room, documents_days=1)
    await room.go(days=2)
    await announce_and_go(room)
    assert kept(room, submission) == 0
    await _saved_by_an_older_version(room, submission)
    await room.go(days=3)
    await announce_and_go(room)
    await only(room, "submission-expired")
    assert [one.state for one, _ in await room.retention.files.listed("removed")] == ["removed"]


async def test_a_decision_that_an_older_version_drops_is_announced_anew(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    submission, _ = await _decided_unheard(room, _deaf(monkeypatch))
    await _saved_by_an_older_version(room, submission)
    await room.go(hours=2)
    assert len(await announced(room)) == 1
    assert await _removing(room) == 0
    assert kept(room, submission) == 1
    await room.go(days=9)
    await announce_and_go(room)
    await room.go(days=9)
    await announce_and_go(room)
    assert kept(room, submission) == 0


async def test_who_kept_them_while_they_were_let_go_is_heard_when_nothing_went(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    """The line of the one came between the two saves of the other, who was told that it was too late."""
    submission, _ = await _decided_unheard(room, _deaf(monkeypatch))
    [(line, _)] = await room.retention.files.listed("removing")
    line.state, line.account = "kept", "chief"
    await room.kit.documents.save(FILE_EXPIRIES, line)
    await room.go(hours=25)
    known = await track(room, submission)
    assert (set(known.leaving), known.kept) == ({"documents"}, [])
    await room.go(hours=1)
    known = await track(room, submission)
    assert (known.leaving, known.kept) == ({}, ["documents"])
    await room.go(days=9)
    assert kept(room, submission) == 1
