"""Share links: a study shown to somebody without an account, for a while, and no longer than that.

The link's secret is nowhere kept, a PIN only as a hash, a code for ten minutes. Each try counts before it
is looked at, wrong ones lock the link for longer and longer, and revoking ends what was opened by it.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from kit.documents.port import Collection, Doc, Has, Instant
from kit.documents.walking import each
from kit.errors import Contended, Forbidden, NotFound, Refused, VersionConflict
from kit.identity import Principal, token_id
from kit.ids import secret_token
from kit.saying import say
from kit.seal import MAIL, seal
from kit.service import Kit
from kit.sessions import GRANTS, Grant
from schemas.portal import AccountMailRequested
from schemas.shapes import Person
from services.portal.audit import by_link, changing
from services.portal.models import CASES
from services.portal.people import tries
from services.portal.people.passwords import hash_password, verify_password
from services.portal.rules.accounts import check_contact

Protection = Literal["none", "pin", "code"]
_CODE_LASTS = timedelta(minutes=10)
_AGAIN = 20
_LISTED = 200


class ShareCode(Doc):
    """The code last sent for a link. `id` is the grant's."""

    hash: str = Field(repr=False)
    expires_at: Instant


SHARE_CODES = Collection("share-codes", ShareCode)


@dataclass(frozen=True)
class Wish:
    """What somebody who shares asks for."""

    label: str
    email: str = ""
    phone: str = ""
    days: int = 14
    protection: Protection = "pin"
    download: bool = False
    max_uses: int | None = None
    language: str = "en"


@dataclass(frozen=True)
class Shared:
    """A new link. Its address and PIN are shown once."""

    grant: Grant
    path: str
    pin: str = ""
    mailed: bool = False


async def share(kit: Kit, who: Principal, study_id: str, wish: Wish) -> Shared:
    """Make the link, in one step with the request for the mail that carries it where there is an address.
    The PIN is never in that mail. Raises Refused."""
    if not wish.label:
        raise Refused("no-label", "Say whom the link is for.")
    if wish.protection == "code" and not (wish.email or wish.phone):
        raise Refused("no-address", "A one-time code needs an email address or a telephone number to go to.")
    check_contact(wish.email, wish.phone)
    case = await kit.documents.get(CASES, study_id)
    if case is not None and (case.leaving is not None or case.gone is not None):
        raise Refused(
            "removed", "The images of this study were removed here. Ask the sender to send them again."
        )
    now, secret = kit.clock(), secret_token()
    pin = f"{secrets.randbelow(1_000_000):06d}" if wish.protection == "pin" else ""
    grant = Grant(
        id=token_id(secret),
        kind="share",
        label=wish.label,
        email=wish.email,
        phone=wish.phone,
        language=wish.language,
        made_by=who.account.id,
        made_by_name=who.account.name,
        created_at=now,
        expires_at=now + timedelta(days=wish.days),
        studies=[study_id],
        download=wish.download,
        protection=wish.protection,
        pin_hash=await hash_password(pin) if pin else "",
        max_uses=wish.max_uses,
    )
    path = f"/share/{secret}"
    mails = [_mail(kit, grant, "share", path, grant.expires_at)] if wish.email or wish.phone else []
    detail = say(
        "entry-shared",
        "link %(link)s, until %(until)s, %(protection)s",
        link=grant.id[:12],
        until=f"{grant.expires_at:%Y-%m-%d}",
        protection=wish.protection,
    )
    await changing(kit, who.account, now, action="share", kind="study", object_id=study_id, detail=detail)
    await kit.documents.save(GRANTS, grant, mails)
    return Shared(grant, path, pin, mailed=bool(mails))


async def shares_of(kit: Kit, study_id: str) -> list[Grant]:
    """Every link to this study, the newest first; those that are over as well."""
    page = await kit.documents.find(GRANTS, {"studies": Has(study_id)}, limit=_LISTED)
    shares = [grant for grant in page.items if grant.kind == "share"]
    return sorted(shares, key=lambda grant: grant.created_at, reverse=True)


async def shared_until(kit: Kit, study_id: str) -> datetime | None:
    """Until when the last of its links works; None where none does."""
    now, last = kit.clock(), None
    async for grant in each(kit.documents, GRANTS, {"studies": Has(study_id)}, limit=_LISTED):
        if grant.kind == "share" and grant.usable(now) and not _used_up(grant):
            last = max(last or now, grant.expires_at)
    return last


async def revoke(kit: Kit, who: Principal, study_id: str, grant_id: str) -> None:
    """Raises NotFound. Sessions opened by the link end with it."""
    for _ in range(_AGAIN):
        grant = await kit.documents.get(GRANTS, grant_id) if len(grant_id) <= 64 else None
        if grant is None or grant.kind != "share" or study_id not in grant.studies:
            raise NotFound("no-share", "There is no such link.")
        now = kit.clock()
        if grant.revoked_at is not None:
            return
        grant.revoked_at = now
        await changing(
            kit,
            who.account,
            now,
            action="unshare",
            kind="study",
            object_id=study_id,
            detail=by_link(grant.id),
        )
        try:
            await kit.documents.save(GRANTS, grant)
        except VersionConflict:
            continue
        kit.identity.forget()
        return
    raise Contended("a link")


async def by_secret(kit: Kit, secret: str) -> Grant:
    """The link that works. Raises NotFound, with the same words whatever is wrong with it."""
    grant = await kit.documents.get(GRANTS, token_id(secret)) if 20 <= len(secret) <= 100 else None
    if grant is None or grant.kind != "share" or not grant.usable(kit.clock()) or _used_up(grant):
        raise NotFound(
            "share-over", "This link does not work any more. Ask whoever gave it to you for a new one."
        )
    return grant


async def send_code(kit: Kit, grant: Grant) -> None:
    """A fresh code to the address the link was made for. Raises TooMany."""
    now = kit.clock()
    await tries.count_try(kit.documents, now, tries.MAIL, "share-code", grant.id)
    code = f"{secrets.randbelow(1_000_000):06d}"
    made = ShareCode(id=grant.id, hash=await hash_password(code), expires_at=now + _CODE_LASTS)
    known = await kit.documents.get(SHARE_CODES, grant.id)
    made.version = known.version if known is not None else 0
    await kit.documents.save(SHARE_CODES, made, [_mail(kit, grant, "share-code", code, made.expires_at)])


async def use(kit: Kit, secret: str, given: str, address: str) -> Grant:
    """Open the link once, with PIN or code. Raises Forbidden for a wrong one, TooMany, NotFound."""
    grant = await by_secret(kit, secret)
    if grant.protection != "none":
        now = kit.clock()
        await tries.count_try(kit.documents, now, tries.ADDRESS, "address", address)
        await tries.count_try(kit.documents, now, tries.CODE, "share", grant.id)
        if not await _right(kit, grant, given):
            raise Forbidden("wrong-pin", "That is not right. Look again at what you were given.")
        await tries.forgive(kit.documents, "share", grant.id)
        await tries.take_back(kit.documents, "address", address)
    return await _count_use(kit, secret)


async def _count_use(kit: Kit, secret: str) -> Grant:
    for _ in range(_AGAIN):
        grant = await by_secret(kit, secret)
        grant.uses += 1
        grant.last_used_at = kit.clock()
        try:
            return await kit.documents.save(GRANTS, grant)
        except VersionConflict:
            continue
    raise Contended("a link")


async def _right(kit: Kit, grant: Grant, given: str) -> bool:
    """A code works once."""
    if grant.protection == "pin":
        return await verify_password(grant.pin_hash, given)
    code = await kit.documents.get(SHARE_CODES, grant.id)
    fresh = code is not None and code.expires_at > kit.clock()
    right = await verify_password(code.hash if code is not None and fresh else "", given)
    if right and code is not None:
        try:
            await kit.documents.delete(SHARE_CODES, code)
        except VersionConflict:
            return False
    return right


def _used_up(grant: Grant) -> bool:
    return grant.max_uses is not None and grant.uses >= grant.max_uses


def _mail(
    kit: Kit, grant: Grant, kind: Literal["share", "share-code"], secret: str, until: datetime
) -> AccountMailRequested:
    step = f"{kind}-{token_id(secret)[:16]}-{kit.clock().isoformat()}"
    return AccountMailRequested.first(
        time=kit.clock(),
        key=grant.id,
        correlation_id=grant.id,
        step=step,
        kind=kind,
        to=Person(name=grant.label, email=grant.email or None, phone=grant.phone or None),
        language=grant.language,
        sealed=seal(kit.site_key, MAIL, secret),
        expires_at=until,
    )
