"""Documents of the notify service."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, Field

from kit.documents.port import Collection, Doc, Instant
from kit.tasks import TaskDoc
from schemas.shapes import Person, Sender

Channel = Literal["email", "sms"]


class Kind(StrEnum):
    """What a notice says; DIGEST stands in for many that would have come too fast."""

    PROBLEMS = "received-with-problems"
    DECLINED = "declined"
    ASKED = "asked"
    IN_PACS = "in-pacs"
    DELAYED = "delayed"
    FAILED = "failed"
    DIGEST = "digest"
    INVITE = "invite"
    RESET = "reset"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105 - a kind of mail
    SECOND_FACTOR_OFF = "second-factor-off"
    SHARE = "share"
    SHARE_CODE = "share-code"
    UPLOAD_LINK = "upload-link"
    DESTINATION_AWAY = "destination-away"
    DESTINATION_BACK = "destination-back"


ABOUT_ACCOUNTS = frozenset(
    {
        Kind.INVITE,
        Kind.RESET,
        Kind.PASSWORD_CHANGED,
        Kind.SECOND_FACTOR_OFF,
        Kind.SHARE,
        Kind.SHARE_CODE,
        Kind.UPLOAD_LINK,
    }
)
"""Asked for by somebody who waits for them: never held back, never told by a digest."""


ABOUT_DESTINATIONS = frozenset({Kind.DESTINATION_AWAY, Kind.DESTINATION_BACK})
"""Told of by the destination's name; the link leads to the first page."""


class State(StrEnum):
    QUEUED = "queued"
    HELD = "held"
    """Waits because its address got enough for this hour."""
    SENDING = "sending"
    """Saved before the attempt: found after a restart, it may have gone out."""
    SENT = "sent"
    FAILED = "failed"
    COMBINED = "combined"
    """Told by the digest `combined_into`; due until that has ended."""
    NOT_CONFIGURED = "not-configured"
    OFF = "off"


class Contacts(Doc):
    """Whom a submission concerns. Id: the submission."""

    sender: Sender
    recipients: list[Person] = Field(default_factory=list)


class News(TaskDoc):
    """Something to tell about one study or submission, gathered until `due_at`, then turned into
    notices, one per recipient and channel. Id derives from kind and subject."""

    kind: Kind
    about: str = Field(description="opaque id of the study or submission the link leads to")
    sender: Sender | None = None
    submissions: list[str] = Field(default_factory=list)
    correlation_id: str
    cause: str = Field(description="id of the event that opened this round")
    facts: dict[str, int] = Field(default_factory=dict)
    seen: list[str] = Field(default_factory=list, description="what was told or will be, so none repeats")
    round: int = 0
    heard: int = Field(default=0, description="news taken in")
    told: int = Field(default=0, description="news covered by notices made")
    round_began: datetime | None = None

    def goes_back_to(self) -> tuple[str, str]:
        return self.correlation_id, self.cause


class Entry(BaseModel):
    """One line of a notice's ledger."""

    time: datetime
    text: str


class Notice(TaskDoc):
    """One message to one recipient about one matter. Never any PHI: counts and a link."""

    kind: Kind
    channel: Channel
    recipient: str = Field(description="email address or phone number")
    recipient_name: str = ""
    language: str
    about: str
    reference: str = Field(description="what the sender knows the submission by")
    facts: dict[str, int] = Field(default_factory=dict)
    sealed: str = Field(default="", repr=False, description="path of a link that only its reader may have")
    created_at: Instant
    correlation_id: str
    cause: str
    state: State = State.QUEUED
    possible: int = Field(default=0, description="attempts after which it may have arrived, unconfirmed")
    sent_at: Instant | None = None
    provider_id: str = ""
    provider_status: str = ""
    combined_into: str = ""
    leads: bool = Field(
        default=False, description="it takes in what waits for its address, and is in no digest"
    )
    stands_for: list[str] = Field(
        default_factory=list,
        description="ids of the notices told by it as a digest; the same at every attempt",
    )
    digest: dict[str, int] = Field(default_factory=dict, description="facts of the digest; empty: it is none")
    ledger: list[Entry] = Field(default_factory=list)

    def goes_back_to(self) -> tuple[str, str]:
        return self.correlation_id, self.cause

    def wait(self, until: datetime) -> None:
        """Not tried now; that is no attempt."""
        self.due_at = until
        self.lease_until = None
        self.attempts -= 1

    def note(self, time: datetime, text: str) -> None:
        self.ledger = [*self.ledger[-49:], Entry(time=time, text=text)]


CONTACTS = Collection("notify_contacts", Contacts)
NEWS = Collection("notify_news", News, fields=("due_at",))
NOTICES = Collection(
    "notices",
    Notice,
    fields=("due_at", "channel", "state", "recipient", "created_at", "sent_at", "combined_into"),
    compound=(
        ("channel", "due_at"),
        ("recipient", "sent_at"),
        ("recipient", "state", "created_at"),
        ("state", "created_at"),
    ),
)
