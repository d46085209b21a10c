"""Setting up a second factor: offering a secret, and taking it over once a code proves it arrived."""

from dataclasses import dataclass

from markupsafe import Markup

from kit.errors import PermanentError, Refused, Stale, VersionConflict
from kit.identity import Account
from kit.seal import seal, unseal
from kit.service import Kit
from services.portal.people import secondfactor, signin
from services.portal.people.models import LOGINS, Login

_PURPOSE = "second-factor-offer"


@dataclass(frozen=True)
class Offer:
    """What the page shows: a picture, the same in letters, and the secret sealed for the way back."""

    picture: Markup
    letters: str
    sealed: str


def offer(kit: Kit, login: Login, sealed: str = "") -> Offer:
    """A new secret, or the one offered before (so that a wrong code asks for no new scan)."""
    secret = _opened(kit, login, sealed) or secondfactor.new_secret()
    letters = " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))
    picture = Markup(secondfactor.picture(secret, login.email, kit.site.name))  # noqa: S704 - made here
    return Offer(picture, letters, seal(kit.site_key, _PURPOSE, f"{login.id} {secret}"))


async def confirm(kit: Kit, login: Login, account: Account, sealed: str, code: str) -> list[str]:
    """Turns it on; returns the recovery codes. Raises Refused for a wrong code."""
    secret = _opened(kit, login, sealed)
    step = secondfactor.step_of(secret, code, kit.clock().timestamp(), 0) if secret else None
    if step is None:
        raise Refused("wrong-code", "This code is not right. Is the clock of your telephone right?")
    codes = secondfactor.turn_on(kit, login, secret, step)
    await signin.note(kit, account, "second-factor-on")
    try:
        await kit.documents.save(LOGINS, login)
    except VersionConflict:
        raise Stale("changed-meanwhile", "Your account was changed elsewhere. Please begin again.") from None
    return codes


def _opened(kit: Kit, login: Login, sealed: str) -> str:
    if not sealed:
        return ""
    try:
        owner, _, secret = unseal(kit.site_key, _PURPOSE, sealed).partition(" ")
    except PermanentError:
        return ""
    return secret if owner == login.id else ""
