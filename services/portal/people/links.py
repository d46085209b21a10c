"""Links that work once: invitations, new passwords, the first administrator."""

import base64
import hashlib
import hmac
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal

from kit.documents.port import Range
from kit.errors import NotFound, VersionConflict
from kit.identity import ACCOUNTS, Account, token_id
from kit.ids import secret_token
from kit.service import Kit
from schemas.shapes import Person
from services.portal.people.letters import letter
from services.portal.people.models import LINKS, LOGINS, Link, Login, login_id
from services.portal.settings import PortalSettings

_WELCOME = timedelta(days=2)


async def send_link(
    kit: Kit, settings: PortalSettings, kind: Literal["invite", "reset"], account: Account, login: Login
) -> str:
    """Makes the link and, in the same step, asks for the mail with it. Returns its path."""
    now = kit.clock()
    lasts = (
        timedelta(days=settings.invite_days)
        if kind == "invite"
        else timedelta(minutes=settings.reset_minutes)
    )
    secret = secret_token()
    path = f"/welcome/{secret}"
    link = Link(id=token_id(secret), kind=kind, login_id=login.id, created_at=now, expires_at=now + lasts)
    to = Person(name=account.name, email=login.email, account_id=account.id)
    mail = letter(
        kit, kind, to, account.language, path=path, account_id=account.id, expires_at=link.expires_at
    )
    await kit.documents.save(LINKS, link, [mail])
    return path


async def ask_for_reset(kit: Kit, settings: PortalSettings, email: str) -> None:
    """Mails a link when somebody signs in under this address. Does and takes about the same when not."""
    login = await kit.documents.get(LOGINS, login_id(email))
    account = await kit.documents.get(ACCOUNTS, login.account_id) if login is not None else None
    if login is None or account is None or account.disabled:
        now = kit.clock()
        await kit.documents.save(
            LINKS, Link(id=token_id(secret_token()), kind="reset", created_at=now, expires_at=now)
        )
        return
    await send_link(kit, settings, "reset" if login.password_hash else "invite", account, login)


async def welcome_link(kit: Kit) -> str | None:
    """The path by which the first person becomes administrator; None once somebody can sign in. It is the
    same for every process of an installation, until it is too old."""
    if await kit.documents.count(LOGINS, cap=1):
        return None
    now = kit.clock()
    secrets = [_welcome_secret(kit, day) for day in (now - _WELCOME, now - timedelta(days=1), now)]
    for secret in secrets:
        known = await kit.documents.get(LINKS, token_id(secret))
        if known is not None and known.expires_at > now:
            return f"/welcome/{secret}"
    secret = secrets[-1]
    link = Link(id=token_id(secret), kind="welcome", created_at=now, expires_at=now + _WELCOME)
    with suppress(VersionConflict):
        await kit.documents.save(LINKS, link)
    return f"/welcome/{secret}"


def _welcome_secret(kit: Kit, day: datetime) -> str:
    """256 bits that nobody without the site's key can know, and that processes know alike."""
    made = hmac.new(kit.site_key, f"welcome\x1f{day:%Y-%m-%d}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(made.digest()).decode().rstrip("=")


async def opened(kit: Kit, secret: str) -> tuple[Link, Login | None, Account | None]:
    """The link with whom it is for (nobody yet for the first administrator's). Raises NotFound."""
    link = await kit.documents.get(LINKS, token_id(secret)) if 20 <= len(secret) <= 100 else None
    if link is None or link.expires_at <= kit.clock():
        raise _over()
    if link.kind == "welcome":
        if await kit.documents.count(LOGINS, cap=1):
            raise _over()
        return link, None, None
    login = await kit.documents.get(LOGINS, link.login_id) if link.login_id else None
    account = await kit.documents.get(ACCOUNTS, login.account_id) if login is not None else None
    if login is None or account is None or account.disabled or _void(link, login.password_at):
        raise _over()
    return link, login, account


async def use_up(kit: Kit, link: Link) -> None:
    """For a link that no later password voids. Raises NotFound when somebody else was first."""
    try:
        await kit.documents.delete(LINKS, link)
    except VersionConflict:
        raise _over() from None


async def clean_links(kit: Kit) -> None:
    page = await kit.documents.find(LINKS, {"expires_at": Range(high=kit.clock())}, limit=1000)
    for link in page.items:
        await kit.documents.delete(LINKS, link)


def _void(link: Link, password_at: datetime | None) -> bool:
    return password_at is not None and link.created_at <= password_at


def _over() -> NotFound:
    return NotFound(
        "link-over", "This link was used already or is too old. Ask for a new one where you got it from."
    )
