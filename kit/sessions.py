"""Sessions of browsers, and grants: what somebody without an account may do by a link.

Both are opened and ended by portal alone; kit.identity reads them, and notes there that somebody acts.
"""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from kit.documents.port import Collection, Doc, Instant
from schemas.shapes import Person

COOKIE = "anteroom_session"

Kind = Literal["account", "share", "upload-link"]


class Session(Doc):
    """One browser that proved who it is. `id` is the SHA-256 of the secret in its cookie.

    `kind` account: `account_id` is signed in. Otherwise: `grant_id` was opened (PIN or code given).
    """

    kind: Kind = "account"
    account_id: str = ""
    grant_id: str = ""
    created_at: Instant
    seen_at: Instant
    expires_at: Instant = Field(description="absolute end, however busy it is")
    idle_s: int = Field(default=1800, ge=1, description="it ends when nobody did anything for so long")
    address: str = Field(default="", description="where it was opened from")
    agent: str = Field(default="", description="kind of browser, in a word or two")

    def ended(self, now: datetime) -> bool:
        return self.left(now) <= timedelta()

    def left(self, now: datetime) -> timedelta:
        """How long it lasts when nobody does anything; negative when it is over."""
        return min(self.expires_at, self.seen_at + timedelta(seconds=self.idle_s)) - now


class Grant(Doc):
    """A link somebody was given. `id` is the SHA-256 of the secret in the link.

    share        shows `studies`; `download` lets them be taken along
    upload-link  lets one submission be sent, as the sender `link-…` of `origin`
    """

    kind: Kind
    label: str = Field(description="whom it is for, or who will send; never a patient's name")
    origin: str = ""
    email: str = ""
    phone: str = ""
    language: str = "en"
    made_by: str = Field(description="id of the account that gave it")
    made_by_name: str = ""
    created_at: Instant
    expires_at: Instant
    revoked_at: Instant | None = None
    studies: list[str] = Field(default_factory=list)
    recipients: list[Person] = Field(default_factory=list)
    purpose: str = ""
    note: str = ""
    patient: str = Field(default="", repr=False, description="upload-link: whose images, a hint")
    download: bool = False
    submission_id: str = Field(default="", description="what was sent through it")
    protection: Literal["none", "pin", "code"] = "none"
    pin_hash: str = ""
    failures: int = Field(default=0, description="wrong PINs or codes since the last right one")
    locked_until: Instant | None = None
    uses: int = 0
    max_uses: int | None = None
    last_used_at: Instant | None = None

    def usable(self, now: datetime) -> bool:
        """Neither revoked nor over. Sessions opened by it end at the same moment."""
        return self.revoked_at is None and self.expires_at > now


SESSIONS = Collection("sessions", Session, fields=("account_id", "grant_id", "expires_at"))
GRANTS = Collection(
    "grants",
    Grant,
    fields=("kind", "made_by", "created_at"),
    compound=(("kind", "created_at"), ("made_by", "created_at")),
    members="studies",
)
