"""Portal on real embedded adapters: events in any order and again, one decision by policy."""

import random
from datetime import timedelta

import pytest

from kit.destinations import DESTINATIONS, Destination
from kit.identity import ACCOUNTS, GROUPS, Group
from kit.service import Kit
from schemas.forward import ForwardFailed, StudyForwarded
from schemas.match import StudyMatched, StudyUnmatched
from schemas.portal import StudyDecided
from schemas.shapes import Proof, Tally
from schemas.validate import StudyArrived, StudyUpdated, SubmissionValidated
from services.portal.app import build
from services.portal.models import AUDIT, CASES
from services.portal.settings import PortalSettings
from tests.conftest import settle
from tests.unit.portal.samples import NOW, SENDER, account, match, study


def story():
    """One study in three revisions, its matches and its settled submission."""

    def first(event, step, key="s1", **content):
        return event.first(time=NOW, key=key, correlation_id="sub1", step=step, **content)

    return [
        first(StudyArrived, "1", study=study(1)),
        first(StudyUpdated, "2", study=study(2, 20)),
        first(StudyUpdated, "3", study=study(3, 30)),
        first(StudyUnmatched, "1", match=match(1, 1, certain=False)),
        first(StudyMatched, "2", match=match(2, 2)),
        first(StudyMatched, "3", match=match(3, 3)),
        first(
            SubmissionValidated,
            "1",
            key="sub1",
            submission_id="sub1",
            revision=1,
            sender=SENDER,
            tally=Tally(sent=30, stored=30),
            studies=("s1",),
        ),
    ]


async def trusted(kit: Kit) -> None:
    await kit.documents.save(ACCOUNTS, account())
    await kit.documents.save(DESTINATIONS, Destination(id="pacs", host="127.0.0.1", port=1, called_ae="P"))


async def decisions(kit: Kit) -> list[StudyDecided]:
    return [e for _, e in await kit.bus.read(topics=["study-decided"]) if isinstance(e, StudyDecided)]


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_the_order_the_policy_decides_once_on_the_last_revision(kit_env: Kit, seed: int):
    build(kit_env, PortalSettings())
    await trusted(kit_env)
    await kit_env.bus.start()
    events = story() * 2
    random.Random(seed).shuffle(events)
    for event in events:
        await kit_env.bus.publish([event])
    await settle(kit_env)
    case = await kit_env.documents.get(CASES, "s1")
    assert (case.state, case.study.instances) == ("approved", 30)
    made = await decisions(kit_env)
    assert [(e.decision.study_revision, e.decision.match_revision) for e in made] == [(3, 3)]
    assert made[0].study == case.study
    assert (await kit_env.documents.count(AUDIT, {"object_id": "s1"})) == 1
    assert await kit_env.bus.dead_letters() == []


async def test_outcomes_reach_the_case(kit_env: Kit):
    build(kit_env, PortalSettings())
    await trusted(kit_env)
    await kit_env.bus.start()
    await kit_env.bus.publish(story())
    await settle(kit_env)
    decision = (await decisions(kit_env))[0].decision
    about = {
        "study_id": "s1",
        "study_revision": 3,
        "decision_id": decision.id,
        "delivery_id": "x",
        "destination": "pacs",
        "sender": SENDER,
        "instances": 30,
    }
    failed = ForwardFailed.first(time=NOW, key="s1", correlation_id="sub1", sent=0, reason="refused", **about)
    later = NOW + timedelta(hours=1)
    proof = Proof(kind="storage-commitment", time=later, instances=30)
    proven = StudyForwarded.first(time=later, key="s1", correlation_id="sub1", proof=proof, **about)
    await kit_env.bus.publish([failed])
    await settle(kit_env)
    case = await kit_env.documents.get(CASES, "s1")
    assert (case.state, case.why) == ("failed", "refused")
    await kit_env.bus.publish([proven, failed])
    await settle(kit_env)
    case = await kit_env.documents.get(CASES, "s1")
    assert case.state == "in-pacs"
    assert {"failed", "in-pacs"} <= {s.stage for s in case.timeline}


async def test_without_policies_a_person_decides(kit_env: Kit):
    build(kit_env, PortalSettings(policies=False))
    await trusted(kit_env)
    await kit_env.bus.start()
    await kit_env.bus.publish(story())
    await settle(kit_env)
    assert (await kit_env.documents.get(CASES, "s1")).state == "review"
    assert await decisions(kit_env) == []


async def test_a_submission_of_many_studies_reaches_each(kit_env: Kit):
    build(kit_env, PortalSettings())
    await trusted(kit_env)
    await kit_env.bus.start()
    ids = [f"s{n}" for n in range(40)]
    for n in ids:
        arrived = StudyArrived.first(
            time=NOW, key=n, correlation_id="sub1", study=study(1, id=n, study_instance_uid=f"1.2.{n[1:]}")
        )
        matched = StudyMatched.first(time=NOW, key=n, correlation_id="sub1", match=match(study_id=n))
        await kit_env.bus.publish([arrived, matched])
    validated = SubmissionValidated.first(
        time=NOW,
        key="sub1",
        correlation_id="sub1",
        submission_id="sub1",
        revision=1,
        sender=SENDER,
        tally=Tally(sent=40, stored=40),
        studies=tuple(ids),
    )
    await kit_env.bus.publish([validated])
    await settle(kit_env)
    assert await kit_env.documents.count(CASES, {"state": "approved"}) == 40
    assert len(await decisions(kit_env)) == 40


async def test_a_group_may_give_the_policy(kit_env: Kit):
    build(kit_env, PortalSettings())
    group = Group(id="trusted", name="Trusted", policy="forward-certain", destinations=["pacs"])
    await kit_env.documents.save(GROUPS, group)
    await kit_env.documents.save(ACCOUNTS, account(policy="review", destinations=[], groups=["trusted"]))
    for name in ("other", "pacs"):
        await kit_env.documents.save(DESTINATIONS, Destination(id=name, host="h", port=1, called_ae="P"))
    await kit_env.bus.start()
    await kit_env.bus.publish(story())
    await settle(kit_env)
    assert [e.decision.destinations for e in await decisions(kit_env)] == [("pacs",)]
