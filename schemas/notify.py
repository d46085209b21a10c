"""Events of the notify service."""

from typing import ClassVar, Literal

from schemas.envelope import Event


class NoticeSent(Event):
    """A message went out. Key: the notice."""

    topic: ClassVar[str] = "notice-sent"
    owner: ClassVar[str] = "notify"
    notice_id: str
    channel: Literal["email", "sms"] | str
    kind: str


class NoticeFailed(Event):
    """A message could not be delivered; retries are used up or the address is wrong. Key: the notice."""

    topic: ClassVar[str] = "notice-failed"
    owner: ClassVar[str] = "notify"
    notice_id: str
    channel: Literal["email", "sms"] | str
    kind: str
    reason: str
