"""The second factor: codes by time (TOTP, RFC 6238) from an app, and recovery codes on paper."""

import hmac
import secrets
from hashlib import sha256
from urllib.parse import quote

import pyotp
import segno

from kit.seal import seal, unseal
from kit.service import Kit
from services.portal.people.models import Login

_PURPOSE = "second-factor"
_STEP_S = 30
_DRIFT = 1
"""Steps that a clock may go wrong, either way."""
_CODES = 10
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def new_secret() -> str:
    return pyotp.random_base32()


def picture(secret: str, email: str, site: str) -> str:
    """The secret as a QR code for an app: an SVG element without any style of its own."""
    uri = f"otpauth://totp/{quote(site)}:{quote(email)}?secret={secret}&issuer={quote(site)}"
    return str(
        segno.make(uri, error="m").svg_inline(scale=1, border=2, omitsize=True, svgclass="qr", lineclass=None)
    )


def step_of(secret: str, code: str, now: float, used: int) -> int | None:
    """The time step a code belongs to, or None for one that is wrong, old, or was `used` already. Pure."""
    given = "".join(code.split())
    if len(given) != 6 or not given.isdecimal() or not given.isascii():
        return None
    totp = pyotp.TOTP(secret)
    current = int(now // _STEP_S)
    for step in range(current - _DRIFT, current + _DRIFT + 1):
        if step > used and hmac.compare_digest(totp.generate_otp(step), given):
            return step
    return None


def turn_on(kit: Kit, login: Login, secret: str, step: int) -> list[str]:
    """Changes the login, which the caller saves. Returns the recovery codes, shown now and never again."""
    login.totp = seal(kit.site_key, _PURPOSE, f"{login.id} {secret}")
    login.totp_step = step
    return new_recovery(login)


def turn_off(login: Login) -> None:
    login.totp, login.totp_step, login.recovery = "", 0, []


def new_recovery(login: Login) -> list[str]:
    codes = [
        "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(2)) for _ in range(_CODES)
    ]
    login.recovery = [_digest(login, code) for code in codes]
    return codes


def accept(kit: Kit, login: Login, code: str) -> str:
    """Uses a code up: changes the login, which the caller saves. Returns what it was, "app" or
    "recovery code", or "" when it is not right."""
    if login.totp:
        owner, _, secret = unseal(kit.site_key, _PURPOSE, login.totp).partition(" ")
        step = step_of(secret, code, kit.clock().timestamp(), login.totp_step) if owner == login.id else None
        if step is not None:
            login.totp_step = step
            return "app"
    digest = _digest(login, code)
    if digest in login.recovery:
        login.recovery = [one for one in login.recovery if one != digest]
        return "recovery code"
    return ""


def _digest(login: Login, code: str) -> str:
    plain = "".join(letter for letter in code.casefold() if letter.isalnum())
    return sha256(f"{login.id} {plain}".encode()).hexdigest()
