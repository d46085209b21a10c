"""Whom a submission goes to: what the sender may choose, and what a one-time link has set already."""

from kit.documents.port import Documents
from kit.errors import Forbidden, Refused
from kit.identity import Identity, Principal, Role
from kit.ids import derived_id
from schemas.shapes import Person
from services.upload.documents import SUBMISSIONS
from services.upload.refusals import Conflict
from services.upload.submissions import Opening


async def addressed(identity: Identity, documents: Documents, caller: Principal, opening: Opening) -> Opening:
    """The opening with its recipients as the directory has them. Raises Refused for somebody who receives
    nothing here, and for a link through which something was sent already."""
    if caller.grant is not None:
        await _check_unused(documents, caller, opening)
        own = {"recipients": tuple(caller.grant.recipients)}
        purpose = {"purpose": caller.grant.purpose} if caller.grant.purpose else {}
        return opening.model_copy(update={**own, **purpose})
    recipients = tuple([await _known(identity, person) for person in opening.recipients])
    return opening.model_copy(update={"recipients": recipients})


def check_no_link(caller: Principal) -> None:
    """For doors where nothing tells one act of sending from the next. Raises Forbidden."""
    if caller.grant is not None:
        raise Forbidden("not-allowed", "Open the link you were sent once more: it leads to your page.")


async def _known(identity: Identity, person: Person) -> Person:
    """A person named by account goes under the account's name, whatever else was said."""
    if not person.account_id:
        return person
    stored = await identity.account(person.account_id)
    account = await identity.effective(stored) if stored is not None and not stored.disabled else None
    if account is None or not Principal(account).may(Role.VIEW):
        raise Refused("no-recipient", "One of the recipients receives no images here. Choose another.")
    return Person(name=account.name, account_id=account.id)


async def _check_unused(documents: Documents, caller: Principal, opening: Opening) -> None:
    """One act of sending: what was begun may go on, something new may not begin once it was closed."""
    begun = derived_id("submission", caller.account.id, opening.client_id) if opening.client_id else ""
    page = await documents.find(
        SUBMISSIONS, {"account_id": caller.account.id, "state": "closed"}, order="opened_at", limit=1
    )
    if page.items and (not begun or await documents.get(SUBMISSIONS, begun) is None):
        text = "Something was sent through this link already. Ask the hospital for a new one."
        raise Conflict("link-used", text)
