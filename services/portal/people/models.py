"""What portal keeps of people besides their accounts."""

from typing import Literal

from pydantic import Field

from kit.documents.port import Collection, Doc, Instant
from kit.ids import derived_id


class Login(Doc):
    """How the person behind an account proves who they are. Id derives from the email address."""

    account_id: str
    email: str
    password_hash: str = Field(default="", repr=False, description="empty: invited, not come yet")
    password_at: Instant | None = None
    """Links made before this are void."""
    totp: str = Field(default="", repr=False, description="sealed; empty: no second factor")
    totp_step: int = Field(default=0, description="last time step used, so that no code works twice")
    recovery: list[str] = Field(default_factory=list, repr=False, description="SHA-256 of unused codes")
    last_sign_in_at: Instant | None = None
    invited_at: Instant | None = None


class Link(Doc):
    """A link that works once. Id is the SHA-256 of its secret."""

    kind: Literal["invite", "reset", "welcome"]
    login_id: str = Field(default="", description="empty: leads nowhere")
    created_at: Instant
    expires_at: Instant


class Tries(Doc):
    """What was tried too often: an address, a login, a link. Survives restarts."""

    count: int = 0
    last_at: Instant
    locked_until: Instant | None = None


class Registration(Doc):
    """Somebody asks for an account. Id derives from the email address."""

    name: str
    email: str
    organisation: str = ""
    phone: str = ""
    language: str = "en"
    message: str = ""
    state: Literal["waiting", "approved", "declined"] = "waiting"
    created_at: Instant
    decided_by: str = ""


LOGINS = Collection("logins", Login, fields=("account_id",))
LINKS = Collection("links", Link, fields=("login_id", "kind", "expires_at"))
TRIES = Collection("tries", Tries, fields=("last_at",))
REGISTRATIONS = Collection(
    "registrations", Registration, fields=("state", "created_at"), compound=(("state", "created_at"),)
)


def login_id(email: str) -> str:
    return derived_id("login", email.strip().casefold())


def person_id(email: str) -> str:
    """The account of somebody who signs in; machines' derive from their name."""
    return derived_id("person", email.strip().casefold())
