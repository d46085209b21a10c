"""Images that nobody needs go, through every service that knows of them, and nothing else goes."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from kit.documents import walking
from kit.errors import NotFound, Refused, Stale, VersionConflict
from schemas.portal import StudyExpired
from schemas.shapes import Study
from schemas.validate import StudyRemoved
from services.portal import retention, retention_look
from services.portal.decisions import decide_by_person
from services.portal.models import AUDIT, CASES
from services.portal.retention_models import EXPIRIES, POLICIES
from services.portal.rules.decide import Request
from services.portal.rules.retention import AGREEING
from services.portal.sharing import Wish, revoke, share
from services.validate.handlers import clear_removed, study_expired
from services.validate.known import Known, KnownInstances
from services.validate.models import STUDIES
from services.view.models import STUDIES as VIEWED
from tests.component.retention.conftest import CHIEF, Room, policy, second_delete_fails
from tests.component.validate.files import dicom
from tests.conftest import settle


async def test_what_was_declined_goes_after_its_days_and_nothing_else(room: Room):
    old = await room.study("1.2.1", 1, 2)
    other = await room.study("1.2.2", 3, decline=False)
    room.clock.go(days=20)
    young = await room.study("1.2.3", 4)
    room.clock.go(days=11)
    assert await room.look() == [], "no policy, no end"
    await policy(room)
    case = await room.case(old)
    found = await room.retention.figure({"in-pacs": 1, "declined": 30})
    assert (found.studies, found.bytes, found.by_rule["declined"]) == (1, case.bytes, 1)
    assert [expiry.id for expiry in await room.look()] == [old]
    assert [expiry.id for expiry in await room.look()] == [old], "announced once"
    before = {study: room.objects(study) for study in (old, other, young)}
    await room.expire()
    assert room.objects(old) == before[old], "announced, not gone"
    await room.go(hours=49)
    await room.expire()
    assert room.objects(old) == []
    assert [room.objects(study) for study in (other, young)] == [before[other], before[young]]
    doc = await room.kit.documents.get(STUDIES, old)
    assert doc is not None
    assert (doc.study.packs, doc.study.instances, doc.study.generation) == ((), 0, 2)
    assert await room.kit.documents.get(VIEWED, old) is None
    assert await room.kit.documents.get(VIEWED, other) is not None
    case = await room.case(old)
    assert case.gone is not None
    assert (case.state, case.gone.bytes, case.study and case.study.instances) == ("declined", found.bytes, 2)
    [(ledger, _)] = await room.retention.listed("removed")
    assert (ledger.id, ledger.bytes, ledger.rule) == (old, found.bytes, "declined")
    page = await room.kit.documents.find(AUDIT, {"object_id": old}, order="time", limit=50)
    entries = [(entry.action, entry.account) for entry in page.items]
    assert ("expired", "Retention") in entries
    assert ("images-removed", "Retention") in entries
    assert await room.look() == []


async def test_a_person_keeps_it_until_it_is_let_go(room: Room):
    study = await room.study("1.2.1", 1)
    room.clock.go(days=31)
    await policy(room)
    assert len(await room.look()) == 1
    await room.retention.keep(CHIEF, study, "court case")
    await room.go(days=300)
    await room.expire()
    assert await room.look() == []
    assert (await room.retention.figure({"in-pacs": 1, "declined": 1})).studies == 0
    assert len(room.objects(study)) == 2
    await room.retention.release(CHIEF, study)
    assert [expiry.id for expiry in await room.look()] == [study]
    await room.go(hours=49)
    await room.expire()
    assert room.objects(study) == []
    with pytest.raises(Stale):
        await room.retention.keep(CHIEF, study)


async def test_what_is_kept_is_in_the_list_of_what_is_kept(room: Room, monkeypatch: pytest.MonkeyPatch):
    study = await room.study("1.2.1", 1)
    save = type(room.kit.documents).save

    async def cut(self: Any, collection: Any, doc: Any, emits: Any = ()) -> Any:
        if collection is CASES:
            raise OSError("the process ended")
        return await save(self, collection, doc, emits)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="ended"):
        patch.setattr(type(room.kit.documents), "save", cut)
        await room.retention.keep(CHIEF, study, "court case")
    await room.look()
    assert [expiry.id for expiry, _ in await room.retention.listed("kept")] == [study]
    assert (await room.case(study)).kept


async def test_what_can_not_be_kept_is_not_entered_as_kept(room: Room):
    with pytest.raises(NotFound):
        await room.retention.keep(CHIEF, "nothing")
    assert (await room.kit.documents.find(AUDIT, {"object_id": "nothing"})).items == []


async def test_a_study_that_is_shared_stays_until_its_links_are_over(room: Room):
    first, second = await room.study("1.2.1", 1), await room.study("1.2.2", 2)
    room.clock.go(days=31)
    await policy(room)
    link = await share(room.kit, CHIEF, first, Wish(label="Dr. A", days=200, protection="none"))
    assert [expiry.id for expiry in await room.look()] == [second]
    [(line, _)] = await room.retention.listed("shared")
    assert (line.id, line.until) == (first, link.grant.expires_at)
    later = await share(room.kit, CHIEF, second, Wish(label="Dr. B", days=12, protection="none"))
    assert await room.look() == []
    assert {expiry.id for expiry, _ in await room.retention.listed("shared")} == {first, second}
    await room.go(hours=49)
    await room.expire()
    assert [len(room.objects(study)) for study in (first, second)] == [2, 2]
    await revoke(room.kit, CHIEF, first, link.grant.id)
    assert [expiry.id for expiry in await room.look()] == [first]
    await room.go(days=11)
    await room.expire()
    assert room.clock() > later.grant.expires_at
    assert [expiry.id for expiry in await room.look()] == [second]
    assert [len(room.objects(study)) for study in (first, second)] == [0, 2]
    with pytest.raises(Refused, match="removed here"):
        await share(room.kit, CHIEF, first, Wish(label="Dr. A", protection="none"))


async def test_a_link_made_after_the_last_look_keeps_the_study(room: Room):
    study = await room.study("1.2.1", 1)
    room.clock.go(days=31)
    await policy(room)
    await room.look()
    await room.go(hours=49)
    await share(room.kit, CHIEF, study, Wish(label="Dr. A", protection="none"))
    await room.expire()
    assert len(room.objects(study)) == 2


async def test_a_clock_that_leaps_lets_nothing_go(room: Room):
    study = await room.study("1.2.1", 1)
    await policy(room)
    await room.go(hours=2)
    right = room.clock.now
    for days in (0, 3):
        room.clock.now = right + timedelta(days=3650 + days)
        assert await room.look() == []
        room.clock.now = right + timedelta(days=days, hours=1)
        assert await room.look() == []
    stored = await room.retention.policy()
    assert stored.due_at is not None
    assert stored.due_at <= room.clock() + timedelta(hours=1)
    assert len(room.objects(study)) == 2


async def test_what_is_due_by_a_clock_that_leapt_does_not_go(room: Room):
    study = await room.study("1.2.1", 1)
    room.clock.go(days=31)
    await policy(room)
    await room.look()
    await room.go(hours=30)
    right = room.clock.now
    room.clock.now = right + timedelta(days=3650)
    await room.expire()
    assert len(room.objects(study)) == 2
    room.clock.now = right
    [expiry] = await room.look()
    assert expiry.due_at == right + timedelta(hours=48), "and has its notice anew"


@pytest.mark.parametrize("saved", [False, True])
async def test_a_clock_that_goes_on_well_is_believed_after_a_day_or_when_a_person_says_so(
    room: Room, saved: bool
):
    study = await room.study("1.2.1", 1)
    await policy(room)
    room.clock.go(days=40)
    for _ in range(1 if saved else AGREEING):
        assert await room.look() == []
        assert (await room.retention.policy()).doubts
        room.clock.go(hours=1)
    if saved:
        await policy(room)
    assert [expiry.id for expiry in await room.look()] == [study]
    assert not (await room.retention.policy()).doubts


async def test_a_look_in_the_far_future_is_made_now(room: Room):
    await policy(room)
    stored = await room.retention.policy()
    stored.due_at = room.clock() + timedelta(days=3650)
    await room.kit.documents.save(POLICIES, stored)
    await room.retention.set_right()
    assert (await room.retention.policy()).due_at == room.clock()


async def test_it_goes_only_after_looks_all_through_its_notice(room: Room):
    study = await room.study("1.2.1", 1)
    room.clock.go(days=31)
    await policy(room)
    await room.look()
    room.clock.go(hours=23)
    await room.look()
    room.clock.go(hours=23)
    await room.look()
    await room.go(hours=3)
    await room.expire()
    assert len(room.objects(study)) == 2
    await room.go(hours=24)
    await room.expire()
    assert room.objects(study) == []


async def test_no_more_than_some_are_announced_at_a_look_and_removed_in_an_hour(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    studies = [await room.study(f"1.2.{n}", n) for n in (1, 2)]
    room.clock.go(days=31)
    await policy(room)
    monkeypatch.setattr(retention_look, "MOST_A_LOOK", 1)
    monkeypatch.setattr(walking, "_PAGE", 1)
    assert len(await room.look()) == 1
    assert (await room.retention.policy()).capped == ["studies"]
    assert len(await room.look()) == 2
    assert (await room.retention.policy()).capped == []
    monkeypatch.setattr(retention, "MOST_AN_HOUR", 1)
    await room.go(hours=49)
    await room.expire()
    assert sorted(len(room.objects(study)) for study in studies) == [0, 2]
    await room.go(hours=2)
    await room.expire()
    assert [len(room.objects(study)) for study in studies] == [0, 0]


async def test_what_changes_after_it_was_announced_stays(room: Room):
    approved, more, longer = [await room.study(f"1.2.{n}", n) for n in (1, 2, 3)]
    room.clock.go(days=31)
    await policy(room)
    assert len(await room.look()) == 3
    case = await room.case(approved)
    assert case.study is not None
    asked = Request(action="ask-sender", study_revision=case.study.revision, reason="Is this all?")
    await decide_by_person(room.kit, CHIEF, approved, asked)
    await room.study("1.2.2", 9, decline=False)
    await room.go(hours=49)
    await policy(room, declined_days=3000)
    await room.expire()
    assert await room.retention.listed("announced") == []
    assert [len(room.objects(study)) for study in (approved, more, longer)] == [2, 4, 2]
    assert await room.kit.bus.read(topics=["study-expired"]) == []


async def test_images_that_come_at_the_last_moment_are_kept_with_the_others(room: Room):
    """Decided on one revision, removed on that one alone."""
    study = await room.study("1.2.1", 1)
    case = await room.case(study)
    assert case.study is not None
    late = StudyExpired.first(
        time=room.clock(), key=study, correlation_id="x", study_id=study,
        study_revision=case.study.revision, rule="declined",
    )  # fmt: skip
    await room.study("1.2.1", 2, decline=False)
    await room.kit.bus.publish([late])
    await settle(room.kit)
    assert len(room.objects(study)) == 4
    assert (await room.case(study)).gone is None


async def test_the_same_images_sent_again_are_kept_for_their_days_anew(room: Room):
    study = await room.study("1.2.1", 1, 2)
    await policy(room)
    await room.go(days=29)
    assert await room.study("1.2.1", 1, 2, decline=False) == study
    assert (await room.case(study)).state == "declined"
    await room.go(days=2)
    assert await room.look() == []
    await room.go(days=29)
    assert [expiry.id for expiry in await room.look()] == [study]
    await room.go(hours=49)
    await room.expire()
    assert room.objects(study) == []


async def test_the_same_images_that_come_at_the_last_moment_keep_them(room: Room):
    study = await room.study("1.2.1", 1)
    case = await room.case(study)
    assert case.study is not None
    case.leaving = room.clock()
    late = StudyExpired.first(
        time=room.clock(), key=study, correlation_id="x", study_id=study, rule="declined",
        study_revision=case.study.revision, submissions=case.study.submissions,
    )  # fmt: skip
    await room.kit.documents.save(CASES, case)
    await room.study("1.2.1", 1, decline=False)
    await room.kit.bus.publish([late])
    await settle(room.kit)
    assert len([key for key in room.objects(study) if key.endswith(".dcm")]) == 1
    case = await room.case(study)
    assert (case.gone, case.leaving) == (None, None)


async def test_other_content_sent_after_it_was_declined_stays(room: Room):
    study = await room.study("1.2.1", 1, decline=False)
    for text in ("second", "third"):
        files = [("1.dcm", dicom(study="1.2.1", number=1, PatientComments=text))]
        await room.sender.send(files)
        await settle(room.kit)
        case = await room.case(study)
        assert (case.state != "declined", case.spare_since) == (True, None)
        await room.decline(study)
    room.clock.go(days=31)
    await policy(room)
    assert await room.look() == []
    assert len([key for key in room.objects(study) if key.endswith(".dcm")]) == 3


async def test_images_that_come_while_the_others_are_removed_begin_anew(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    """The study is read, and then its images go before their index is read."""
    study = await room.study("1.2.1", 1)
    first = room.objects(study)
    case = await room.case(study)
    assert case.study is not None
    event = StudyExpired.first(
        time=room.clock(), key=study, correlation_id="x", study_id=study, rule="declined",
        study_revision=case.study.revision,
    )  # fmt: skip
    of, raced = KnownInstances.of, []

    async def race(self: KnownInstances, before: Study | None, study_id: str) -> Known:
        if not raced:
            raced.append(before)
            await study_expired(room.kit, event)
            [(_, removed)] = await room.kit.bus.read(topics=["study-removed"])
            assert isinstance(removed, StudyRemoved)
            await clear_removed(room.kit, removed)
        return await of(KnownInstances(room.kit.objects), before, study_id)

    monkeypatch.setattr(KnownInstances, "of", race)
    await room.sender.send([("9.dcm", dicom(study="1.2.1", number=9))])
    await settle(room.kit)
    assert await room.kit.bus.dead_letters(limit=10) == []
    doc = await room.kit.documents.get(STUDIES, study)
    assert doc is not None
    assert (doc.study.generation, doc.study.instances) == (2, 1)
    assert set(room.objects(study)).isdisjoint(first)


async def test_a_decision_at_the_same_moment_comes_first_or_finds_it_gone(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    study = await room.study("1.2.1", 1)
    room.clock.go(days=31)
    await policy(room)
    await room.look()
    await room.go(hours=49)
    save = type(room.kit.documents).save
    asked = []

    async def decided_meanwhile(self: Any, collection: Any, doc: Any, emits: Any = ()) -> Any:
        if any(isinstance(event, StudyExpired) for event in emits) and not asked:
            asked.append(True)
            revision = (await room.case(study)).study.revision  # type: ignore[union-attr]
            request = Request(action="ask-sender", study_revision=revision, reason="Is this all?")
            await decide_by_person(room.kit, CHIEF, study, request)
        return await save(self, collection, doc, emits)

    monkeypatch.setattr(type(room.kit.documents), "save", decided_meanwhile)
    await room.expire()
    assert asked
    assert (await room.case(study)).state == "asked"
    assert len(room.objects(study)) == 2


@pytest.mark.parametrize("broken", ["after the case", "while deleting"])
async def test_it_ends_the_same_when_it_is_cut_off_in_the_middle(
    room: Room, monkeypatch: pytest.MonkeyPatch, broken: str
):
    study = await room.study("1.2.1", 1, 2, 3)
    room.clock.go(days=31)
    await policy(room)
    [expiry] = await room.look()
    await room.go(hours=49)
    if broken == "after the case":
        save = type(room.kit.documents).save

        async def cut(self: Any, collection: Any, doc: Any, emits: Any = ()) -> Any:
            if collection is EXPIRIES:
                raise VersionConflict("expiries", doc.id, 0)
            return await save(self, collection, doc, emits)

        with monkeypatch.context() as patch, pytest.raises(VersionConflict):
            patch.setattr(type(room.kit.documents), "save", cut)
            await room.retention.expire(expiry)
        again = await room.kit.documents.get(EXPIRIES, study)
        assert again is not None
        if again.state == "announced":
            await room.retention.expire(again)
    else:
        second_delete_fails(room, monkeypatch)
        await room.retention.expire(expiry)
    await settle(room.kit)
    assert room.objects(study) == []
    assert (await room.case(study)).gone is not None
    for topic in ("study-expired", "study-removed"):
        assert len(await room.kit.bus.read(topics=[topic])) == 1
    assert await room.kit.bus.dead_letters(limit=10) == []
    [(ledger, _)] = await room.retention.listed("removed")
    assert ledger.id == study


async def test_sent_again_it_is_a_new_generation_to_be_decided_anew(room: Room):
    study = await room.study("1.2.1", 1, 2)
    room.clock.go(days=31)
    await policy(room)
    await room.look()
    await room.go(hours=49)
    await room.expire()
    assert await room.study("1.2.1", 1, 2, decline=False) == study
    case = await room.case(study)
    assert case.gone is None
    assert case.study is not None
    assert (case.study.generation, case.study.instances, case.state) == (2, 2, "arrived")
    assert case.arrived_at == room.clock()
    assert len(room.objects(study)) == 2
    viewed = await room.kit.documents.get(VIEWED, study)
    assert viewed is not None
    assert len(viewed.packs) == 1
    removed = [event for _, event in await room.kit.bus.read(topics=["study-removed"])]
    assert isinstance(removed[0], StudyRemoved)
    await room.kit.bus.publish([removed[0].model_copy(update={"id": "again"})])
    await settle(room.kit)
    assert len(room.objects(study)) == 2, "what came since has other names"
    await room.decline(study)
    await room.go(days=31)
    assert [expiry.id for expiry in await room.look()] == [study], "and goes again when its time has come"
    await room.kit.bus.publish([removed[0].model_copy(update={"id": "once more"})])
    await settle(room.kit)
    assert [expiry.id for expiry, _ in await room.retention.listed("announced")] == [study]


async def test_a_batch_that_became_its_pack_is_deleted_under_its_own_name_alone(room: Room):
    study = await room.study("1.2.1", 1)
    [key] = [key for key in room.objects(study) if key.endswith(".dcm")]
    content = room.kit.objects.read(key)
    room.kit.objects.copy(key, "incoming/elsewhere/part")
    room.clock.go(days=31)
    await policy(room)
    await room.look()
    await room.go(hours=49)
    await room.expire()
    assert room.objects(study) == []
    assert room.kit.objects.read("incoming/elsewhere/part") == content


async def test_cases_of_an_earlier_version_are_brought_along(room: Room):
    study = await room.study("1.2.1", 1)
    case = await room.case(study)
    case.spare_since, case.bytes = None, 0
    await room.kit.documents.save(CASES, case)
    room.clock.go(days=31)
    await policy(room)
    assert [expiry.id for expiry in await room.look()] == [study]
    stored = await room.kit.documents.get(POLICIES, "policy")
    assert stored is not None
    assert stored.caught_up


async def test_over_http(room: Room):
    study = await room.study("1.2.1", 1)
    room.clock.go(days=31)
    transport = httpx.ASGITransport(app=room.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:

        async def ask(method: str, path: str, who: str = "chief", **more: Any) -> httpx.Response:
            headers = {"authorization": f"Bearer {who}"}
            return await client.request(method, f"/api/retention{path}", headers=headers, **more)

        figure = (await ask("POST", "/figure", json={"declined_days": 30})).json()
        assert (figure["studies"], figure["by_rule"]) == (1, {"in-pacs": 0, "declined": 1})
        assert (await ask("GET", "")).json()["studies"] == 0, "asking changes nothing"
        assert (await ask("PUT", "", json={"declined_days": 0})).status_code == 400
        saved = (await ask("PUT", "", json={"declined_days": 30})).json()
        assert saved["bytes"] == figure["bytes"]
        await room.look()
        assert [one["study_id"] for one in (await ask("GET", "")).json()["announced"]] == [study]
        kept = await ask("PUT", f"/kept/{study}", "approver", json={"reason": "teaching"})
        assert kept.status_code == 204
        assert [one["reason"] for one in (await ask("GET", "")).json()["kept"]] == ["teaching"]
        assert (await ask("DELETE", f"/kept/{study}", "approver")).status_code == 403
        assert (await ask("DELETE", f"/kept/{study}")).status_code == 204
        assert (await ask("PUT", "/kept/nothing", json={})).status_code == 404
        link = await share(room.kit, CHIEF, study, Wish(label="Dr. A", protection="none"))
        await room.look()
        [shared] = (await ask("GET", "")).json()["shared"]
        assert datetime.fromisoformat(shared["shared_until"]) == link.grant.expires_at
        page = await client.get("/admin/storage", headers={"authorization": "Bearer chief"})
        assert "stays as long as it is shared" in page.text
        assert "The clock leapt" not in page.text
        room.clock.go(days=3)
        await room.look()
        assert (await ask("GET", "")).json()["doubted"]
        page = await client.get("/admin/storage", headers={"authorization": "Bearer chief"})
        assert "The clock leapt" in page.text
        assert (await ask("PUT", "", "clerk", json={})).status_code == 403
