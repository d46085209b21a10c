"""One-time upload links: the hospital asks somebody without an account for images.

The link's secret is nowhere kept and its PIN only as a hash; neither a patient nor the PIN is in the mail
that carries the link. Each try of a PIN counts before it is looked at. One link is good for one act of
sending; once that is closed, the link leads to its tracking page until it expires.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from kit.errors import Contended, Forbidden, NotFound, Refused, VersionConflict
from kit.identity import Account, Principal, Role, by_grant, token_id
from kit.ids import secret_token
from kit.saying import say
from kit.service import Kit
from kit.sessions import GRANTS, Grant
from schemas.shapes import Person, Said
from services.portal.audit import changing
from services.portal.people import tries
from services.portal.people.letters import letter
from services.portal.people.passwords import hash_password, verify_password
from services.portal.rules.accounts import check_account
from services.portal.tracking.models import TRACKS, Track

_AGAIN = 20
_LISTED = 200
_WORN_OUT = 50
"""Wrong PINs after which a link ends, however slowly they came."""


Link = tuple[Grant, Track | None]
"""A link, and what was sent by it last."""


@dataclass(frozen=True)
class Ask:
    """What a member of staff asks for. `patient` is a hint for the sender, seen after the PIN alone."""

    label: str
    email: str = ""
    patient: str = ""
    purpose: str = ""
    note: str = ""
    days: int = 14
    pin: bool = True
    language: str = "en"


@dataclass(frozen=True)
class Asked:
    """A new link. Its address and PIN are shown once."""

    grant: Grant
    path: str
    pin: str
    mailed: bool


async def ask(kit: Kit, who: Principal, wish: Ask) -> Asked:
    """Make the link, in one step with the request for the mail that carries it where there is an address.
    Raises Forbidden and Refused."""
    who.require(Role.VIEW)
    if not wish.label:
        raise Refused("no-label", "Say who is to send the images.")
    check_account(Account(id="guest", name=wish.label, email=wish.email or None), [])
    now, secret = kit.clock(), secret_token()
    pin = f"{secrets.randbelow(1_000_000):06d}" if wish.pin else ""
    grant = Grant(
        id=token_id(secret),
        kind="upload-link",
        label=wish.label,
        email=wish.email,
        language=wish.language,
        made_by=who.account.id,
        made_by_name=who.account.name,
        created_at=now,
        expires_at=now + timedelta(days=wish.days),
        recipients=[Person(name=who.account.name, account_id=who.account.id)],
        patient=wish.patient,
        purpose=wish.purpose,
        note=wish.note,
        protection="pin" if pin else "none",
        pin_hash=await hash_password(pin) if pin else "",
    )
    path = f"/u/{secret}"
    to = Person(name=wish.label, email=wish.email or None)
    mail = letter(kit, "upload-link", to, wish.language, path=path, expires_at=grant.expires_at)
    mails = [mail] if wish.email else []
    until = f"{grant.expires_at:%Y-%m-%d}"
    form = "until %(until)s, %(protection)s"
    detail = say("entry-asked", form, until=until, protection=grant.protection)
    await _note(kit, who, "asked-for-images", grant, detail)
    await kit.documents.save(GRANTS, grant, mails)
    return Asked(grant, path, pin, mailed=bool(mails))


async def asked_by(kit: Kit, who: Principal) -> list[Link]:
    """The links somebody made, newest first, each with what was sent by it; to who sees all: everybody's."""
    where = {"kind": "upload-link"} if who.may(Role.VIEW_ALL) else {"made_by": who.account.id}
    page = await kit.documents.find(GRANTS, where, order="created_at", descending=True, limit=_LISTED)
    links = [grant for grant in page.items if grant.kind == "upload-link"]
    return [(grant, await sent_by(kit, grant)) for grant in links]


def state_of(grant: Grant, sent: Track | None, now: datetime) -> str:
    """waiting, opened, sending, sent, withdrawn or expired. Pure."""
    if sent is not None:
        return "sending" if sent.closed_at is None else "sent"
    if grant.revoked_at is not None:
        return "withdrawn"
    if grant.expires_at <= now:
        return "expired"
    return "opened" if grant.uses else "waiting"


async def revoke(kit: Kit, who: Principal, grant_id: str) -> None:
    """Raises NotFound. Sessions opened by the link end with it."""
    for _ in range(_AGAIN):
        grant = await kit.documents.get(GRANTS, grant_id) if len(grant_id) <= 64 else None
        theirs = grant is not None and (grant.made_by == who.account.id or who.may(Role.VIEW_ALL))
        if grant is None or grant.kind != "upload-link" or not theirs:
            raise NotFound("no-link", "There is no such link.")
        if grant.revoked_at is not None:
            return
        grant.revoked_at = kit.clock()
        await _note(kit, who, "revoked-link", grant)
        if await _saved(kit, grant):
            kit.identity.forget()
            return
    raise Contended("a link")


async def by_secret(kit: Kit, secret: str) -> Grant:
    """The link that works. Raises NotFound, with the same words whatever is wrong with it."""
    grant = await kit.documents.get(GRANTS, token_id(secret)) if 20 <= len(secret) <= 100 else None
    if grant is None or grant.kind != "upload-link" or not grant.usable(kit.clock()):
        raise NotFound(
            "link-over", "This link does not work any more. Ask for a new one where you got it from."
        )
    return grant


async def use(kit: Kit, secret: str, pin: str, address: str) -> Grant:
    """Open the link with its PIN. Raises Forbidden for a wrong one, TooMany, NotFound."""
    grant = await by_secret(kit, secret)
    who = by_grant(grant)
    if grant.protection == "pin":
        now = kit.clock()
        await tries.count_try(kit.documents, now, tries.ADDRESS, "address", address)
        await tries.count_try(kit.documents, now, tries.CODE, "upload-link", grant.id)
        if not await verify_password(grant.pin_hash, pin):
            await _note(kit, who, "wrong-pin", grant, address)
            await _count(kit, secret, right=False)
            raise Forbidden("wrong-pin", "This PIN is not right. The hospital tells it to you by telephone.")
        await tries.forgive(kit.documents, "upload-link", grant.id)
        await tries.take_back(kit.documents, "address", address)
    await _note(kit, who, "opened-link", grant, address)
    return await _count(kit, secret, right=True)


async def sent_by(kit: Kit, grant: Grant) -> Track | None:
    """What was sent through the link, the latest; None: nothing yet."""
    page = await kit.documents.find(
        TRACKS, {"sender_id": by_grant(grant).account.id}, order="opened_at", descending=True, limit=1
    )
    return page.items[0] if page.items else None


async def _count(kit: Kit, secret: str, *, right: bool) -> Grant:
    for _ in range(_AGAIN):
        grant = await by_secret(kit, secret)
        if right:
            grant.uses, grant.failures, grant.last_used_at = grant.uses + 1, 0, kit.clock()
        else:
            grant.failures += 1
            if grant.failures >= _WORN_OUT:
                grant.revoked_at = kit.clock()
        if await _saved(kit, grant):
            return grant
    raise Contended("a link")


async def _saved(kit: Kit, grant: Grant) -> bool:
    try:
        await kit.documents.save(GRANTS, grant)
    except VersionConflict:
        return False
    return True


async def _note(kit: Kit, who: Principal, action: str, grant: Grant, detail: Said | str = "") -> None:
    await changing(
        kit,
        who.account,
        kit.clock(),
        action=action,
        kind="link",
        object_id=grant.id,
        detail=detail,
    )
