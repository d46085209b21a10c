"""Who may see which study. Decided here, for portal, view and validate alike.

A study's *audience* is a list of keys; whoever holds one of them may see it. Portal alone keeps the
audiences, out of the submissions that brought the study and of what was shared inside the hospital.
Documents belong to a submission, not to a study: they are for whom that was addressed to.

account:<id>     who sent it, a recipient, somebody it was shared with
department:<id>  a department it was addressed to
submission:<id>  a submission that brought it (nobody holds this key: it finds the audience again)
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import Field

from kit.documents.port import Collection, Doc, Documents, Has, Instant
from kit.errors import NotFound
from kit.identity import Principal, Role
from schemas.shapes import Person, Study

_MOST = 5000
"""Studies that a list for somebody without VIEW_ALL reaches back to, for each of their keys."""


class Audience(Doc):
    """Who may see one study. `id` is the study's; `keys` is what the rest comes to."""

    keys: list[str] = Field(default_factory=list)
    senders: list[str] = Field(default_factory=list, description="ids of accounts that sent parts of it")
    submissions: list[str] = Field(default_factory=list)
    recipients: list[Person] = Field(default_factory=list)
    shared: list[Person] = Field(default_factory=list, description="shown to besides, by a colleague")
    urgent: bool = Field(default=False, description="somebody who sent of it asks for a look today")
    arrived_at: Instant | None = None


AUDIENCES = Collection("audiences", Audience, fields=("arrived_at",), members="keys")


class Addressed(Doc):
    """Whom one submission is for. `id` is the submission's."""

    sender_id: str
    recipients: list[Person] = Field(default_factory=list)
    urgent: bool = False


ADDRESSED = Collection("addressed", Addressed)


@dataclass(frozen=True)
class Visible:
    """What a list may hold: everything, or the studies with these ids."""

    all: bool
    ids: tuple[str, ...] = ()


def sees_all(who: Principal) -> bool:
    """Clerks, approvers and administrators see every study, and what the hospital knows of its patient."""
    return who.may(Role.VIEW_ALL)


def is_physician(who: Principal) -> bool:
    """Sees what was addressed to them or to their departments, with the hospital's own data."""
    return who.may(Role.VIEW)


def keys_of(who: Principal) -> tuple[str, ...]:
    """The keys somebody holds. A share holds none: its grant names its studies."""
    if who.kind == "share":
        return ()
    account = who.account
    keys = [account_key(account.id)] if who.may(Role.SEND) or who.may(Role.VIEW) else []
    if who.may(Role.VIEW):
        keys += [department_key(name) for name in account.departments]
    return tuple(keys)


async def may_view(documents: Documents, who: Principal, study: Study) -> bool:
    """Whether somebody may see this study and its images."""
    if sees_all(who):
        return True
    if who.grant is not None and who.kind == "share":
        return study.id in who.grant.studies
    if who.may(Role.SEND) and study.sender.id == who.account.id:
        return True
    return await may_view_id(documents, who, study.id)


async def may_view_id(documents: Documents, who: Principal, study_id: str) -> bool:
    """The same, where only the study's id is known. Who sees all is told yes even of what is not there."""
    if sees_all(who):
        return True
    if who.grant is not None and who.kind == "share":
        return study_id in who.grant.studies
    keys = keys_of(who)
    audience = await documents.get(AUDIENCES, study_id) if keys and len(study_id) <= 64 else None
    return audience is not None and not set(keys).isdisjoint(audience.keys)


async def require_view(documents: Documents, who: Principal, study: Study) -> None:
    """Raises NotFound, in the words used for a study that does not exist."""
    if not await may_view(documents, who, study):
        raise NotFound("no-study", "There is no such study, or it is not yours to see.")


async def visible(documents: Documents, who: Principal) -> Visible:
    """The studies a list may show; of very many, the newest 5,000 for each key."""
    if sees_all(who):
        return Visible(all=True)
    if who.grant is not None and who.kind == "share":
        return Visible(all=False, ids=tuple(who.grant.studies))
    found: dict[str, None] = {}
    for key in keys_of(who):
        rows = await documents.project(
            AUDIENCES, ["id"], {"keys": Has(key)}, order="arrived_at", descending=True, limit=_MOST
        )
        found.update((str(row["id"]), None) for row in rows)
    return Visible(all=False, ids=tuple(found))


def may_download(who: Principal) -> bool:
    """Whether what somebody may see may also be taken along."""
    return who.grant is None or who.kind != "share" or who.grant.download


def may_see_submission(who: Principal, sender_id: str, recipients: Iterable[Person] = ()) -> bool:
    """Its sender, its recipients and their departments, and those who see all."""
    if sees_all(who) or (who.may(Role.SEND) and who.account.id == sender_id):
        return True
    return who.may(Role.VIEW) and not set(keys_of(who)).isdisjoint(keys_for(recipients))


async def may_see_documents(documents: Documents, who: Principal, submission_id: str) -> bool:
    """Whether somebody may see what lay beside the images of a submission. A share shows studies alone."""
    if who.kind == "share":
        return False
    one = await documents.get(ADDRESSED, submission_id)
    return one is not None and may_see_submission(who, one.sender_id, one.recipients)


def keys_for(people: Iterable[Person]) -> list[str]:
    """The keys by which these people see what is addressed to them."""
    found: dict[str, None] = {}
    for person in people:
        if person.account_id:
            found[account_key(person.account_id)] = None
        if person.department:
            found[department_key(person.department)] = None
    return list(found)


def account_key(account_id: str) -> str:
    return f"account:{account_id}"


def department_key(name: str) -> str:
    return f"department:{' '.join(name.casefold().split())}"


def submission_key(submission_id: str) -> str:
    return f"submission:{submission_id}"
