"""Opening and ending sessions."""

from datetime import timedelta

from fastapi import Request

from kit.documents.port import Range
from kit.errors import VersionConflict
from kit.identity import token_id
from kit.ids import secret_token
from kit.service import Kit
from kit.sessions import SESSIONS, Grant, Session
from services.portal.settings import PortalSettings

_SYSTEMS = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
            ("Mac OS", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"))  # fmt: skip
_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"),
             ("CriOS/", "Chrome"), ("Safari/", "Safari"))  # fmt: skip


async def open_session(
    kit: Kit, settings: PortalSettings, request: Request, *, account_id: str = "", grant: Grant | None = None
) -> str:
    """A new session for an account, or for whoever a grant's link was given to. Returns its secret for
    the cookie; always a fresh one, so that nobody can know it beforehand."""
    now = kit.clock()
    secret = secret_token()
    until = now + timedelta(hours=settings.session_hours)
    session = Session(
        id=token_id(secret),
        kind=grant.kind if grant is not None else "account",
        account_id=account_id,
        grant_id=grant.id if grant is not None else "",
        created_at=now,
        seen_at=now,
        expires_at=min(until, grant.expires_at) if grant is not None else until,
        idle_s=round(settings.session_idle_minutes * 60),
        address=address_of(request),
        agent=agent_of(request.headers.get("user-agent", "")),
    )
    await kit.documents.save(SESSIONS, session)
    return secret


async def end_session(kit: Kit, session_id: str) -> None:
    session = await kit.documents.get(SESSIONS, session_id)
    if session is not None:
        await _end(kit, session)


async def end_all(kit: Kit, account_id: str, *, keep: str = "") -> int:
    """End every session of an account but `keep` (an id). Returns how many ended."""
    ended = [session for session in await sessions_of(kit, account_id) if session.id != keep]
    for session in ended:
        await _end(kit, session)
    return len(ended)


async def sessions_of(kit: Kit, account_id: str) -> list[Session]:
    """Those still open, the one used last first."""
    page = await kit.documents.find(SESSIONS, {"account_id": account_id}, limit=1000)
    now = kit.clock()
    found = [session for session in page.items if not session.ended(now)]
    return sorted(found, key=lambda session: session.seen_at, reverse=True)


async def clean_sessions(kit: Kit) -> None:
    """Forget those that are over."""
    page = await kit.documents.find(SESSIONS, {"expires_at": Range(high=kit.clock())}, limit=1000)
    for session in page.items:
        await kit.documents.delete(SESSIONS, session)


async def _end(kit: Kit, session: Session) -> None:
    """Its last use may be noted at the same moment: then once more."""
    found: Session | None = session
    while found is not None:
        try:
            await kit.documents.delete(SESSIONS, found)
        except VersionConflict:
            found = await kit.documents.get(SESSIONS, session.id)
            continue
        break
    kit.identity.forget()


def address_of(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def agent_of(text: str) -> str:
    """A browser in words: Firefox, Windows. Pure."""
    browser = next((name for sign, name in _BROWSERS if sign in text), "")
    system = next((name for sign, name in _SYSTEMS if sign in text), "")
    return ", ".join(part for part in (browser, system) if part)
