"""Who may see which study: addressed, shared, sent, by a link, and in whatever order it became known."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from kit.access import (
    ADDRESSED,
    keys_of,
    may_download,
    may_see_submission,
    may_view,
    may_view_id,
    visible,
)
from kit.identity import ACCOUNTS, GROUPS, Account, Group, Principal, Role, by_grant
from kit.service import Kit
from kit.sessions import Grant
from schemas.envelope import Event
from schemas.shapes import Person, Sender, Study
from schemas.upload import SubmissionOpened
from schemas.validate import StudyArrived, StudyUpdated
from services.portal import audience
from tests.unit.portal.samples import NOW, SENDER, study

PEOPLE = (Person(name="Dr. Okafor", account_id="okafor"), Person(name="Oncology", department="Oncology "))


def opened(submission: str = "sub1", sender: Sender = SENDER, recipients: Sequence[Person] = PEOPLE) -> Event:
    return SubmissionOpened.first(
        time=NOW,
        key=submission,
        correlation_id=submission,
        submission_id=submission,
        sender=sender,
        recipients=tuple(recipients),
    )


def arrived(of: Study | None = None) -> Event:
    of = of or study()
    kind = StudyArrived if of.revision == 1 else StudyUpdated
    return kind.first(time=NOW, key=of.id, correlation_id="sub1", step=str(of.revision), study=of)


async def take(kit: Kit, event: Event) -> None:
    if isinstance(event, SubmissionOpened):
        await audience.submission_opened(kit, event)
    elif isinstance(event, StudyArrived | StudyUpdated):
        await audience.study_changed(kit, event)


def who(account_id: str, *roles: Role, **fields: Any) -> Principal:
    return Principal(Account(id=account_id, name=account_id, roles=list(roles), **fields))


async def test_the_same_audience_in_any_order_and_twice(kit_env: Kit):
    other = Sender(id="second", name="Second", origin="clinic", door="api")
    later = study(2, submissions=("sub1", "sub2"))
    events = [opened(), opened("sub2", other, [Person(account_id="novak")]), arrived(), arrived(later)]
    for order in permutations(events):
        for event in (*order, *order):
            await take(kit_env, event)
        for name, sees in (
            ("okafor", True), ("novak", True), ("stranger", False),
        ):  # fmt: skip
            found = await may_view(kit_env.documents, who(name, Role.VIEW), later)
            assert found is sees, (name, [type(event).__name__ for event in order])
        assert await may_view(kit_env.documents, who("second", Role.SEND), later)
        page = await kit_env.documents.find(audience.AUDIENCES)
        for item in page.items:
            await kit_env.documents.delete(audience.AUDIENCES, item)
        for addressed in (await kit_env.documents.find(ADDRESSED)).items:
            await kit_env.documents.delete(ADDRESSED, addressed)


@pytest.mark.parametrize(
    ("principal", "sees"),
    [
        (who("clinic", Role.SEND), True),
        (who("stranger", Role.SEND), False),
        (who("okafor", Role.VIEW), True),
        (who("okafor", Role.SEND), True),
        (who("okafor"), False),
        (who("x", Role.VIEW, departments=["oncology"]), True),
        (who("x", Role.VIEW, departments=["Surgery"]), False),
        (who("x", Role.SEND, departments=["Oncology"]), False),
        (who("x", Role.VIEW), False),
        (who("x", Role.VIEW_ALL), True),
        (who("x", Role.APPROVE), True),
        (who("x", Role.ADMIN), True),
        (who("x"), False),
    ],
)
async def test_who_sees_a_study(kit_env: Kit, principal: Principal, sees: bool):
    for event in (opened(), arrived()):
        await take(kit_env, event)
    assert await may_view(kit_env.documents, principal, study()) is sees
    assert await may_view_id(kit_env.documents, principal, "s1") is sees
    shown = await visible(kit_env.documents, principal)
    assert (shown.all or "s1" in shown.ids) is sees


async def test_a_share_shows_its_studies_alone(kit_env: Kit):
    for event in (opened(), arrived(), arrived(study(id="s2"))):
        await take(kit_env, event)
    grant = Grant(
        id="0" * 64, kind="share", label="Dr. Out", made_by="x", created_at=NOW,
        expires_at=NOW + timedelta(days=1), studies=["s1"],
    )  # fmt: skip
    sharer = by_grant(grant)
    assert await may_view(kit_env.documents, sharer, study())
    assert not await may_view(kit_env.documents, sharer, study(id="s2"))
    assert (await visible(kit_env.documents, sharer)).ids == ("s1",)
    assert keys_of(sharer) == ()
    assert not any(sharer.may(role) for role in Role)
    assert not may_download(sharer)
    assert may_download(by_grant(grant.model_copy(update={"download": True})))


async def test_an_upload_link_sees_what_it_sent_alone(kit_env: Kit):
    grant = Grant(
        id="a" * 64, kind="upload-link", label="Dr. Out", made_by="x", created_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )  # fmt: skip
    link = by_grant(grant)
    own = study(id="s2", sender=link.sender("portal"))
    for event in (arrived(), arrived(own)):
        await take(kit_env, event)
    assert await may_view(kit_env.documents, link, own)
    assert not await may_view(kit_env.documents, link, study())
    assert [role for role in Role if link.may(role)] == [Role.SEND]


async def test_shared_with_a_colleague_until_it_is_not(kit_env: Kit):
    for event in (opened(), arrived()):
        await take(kit_env, event)
    colleague, person = who("ko", Role.VIEW), Person(account_id="ko")
    await audience.share_with(kit_env.documents, "s1", [person])
    assert await may_view(kit_env.documents, colleague, study())
    await take(kit_env, arrived(study(2)))
    assert await may_view(kit_env.documents, colleague, study())
    await audience.unshare_with(kit_env.documents, "s1", [person])
    assert not await may_view(kit_env.documents, colleague, study())


def test_submissions_are_seen_by_sender_recipients_and_the_file_room():
    seen = {
        name: may_see_submission(principal, "clinic", PEOPLE)
        for name, principal in {
            "sender": who("clinic", Role.SEND),
            "recipient": who("okafor", Role.VIEW),
            "department": who("x", Role.VIEW, departments=["ONCOLOGY"]),
            "clerk": who("x", Role.VIEW_ALL),
            "other": who("x", Role.VIEW),
            "stranger": who("y", Role.SEND),
        }.items()
    }
    assert [name for name, sees in seen.items() if sees] == ["sender", "recipient", "department", "clerk"]


async def test_groups_give_rights_departments_and_policies_and_are_not_saved_with_the_account(kit_env: Kit):
    group = Group(
        id="g",
        name="G",
        roles=[Role.APPROVE],
        departments=["Oncology"],
        policy="forward-certain",
        destinations=["p"],
    )
    await kit_env.documents.save(GROUPS, group)
    account = Account(id="a", name="a", roles=[Role.SEND], groups=["g", "gone"])
    await kit_env.documents.save(ACCOUNTS, account)
    effective = await kit_env.identity.effective(account)
    assert effective.roles == [Role.SEND, Role.APPROVE]
    assert (effective.departments, effective.policy, effective.destinations) == (
        ["Oncology"],
        "forward-certain",
        ["p"],
    )
    assert account.roles == [Role.SEND]
    assert effective.version == 0
