"""Events of the forward service."""

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from schemas.envelope import Event
from schemas.shapes import Proof, Said, Sender


class StudyForwarded(Event):
    """The destination has the study, and this is proved. Key: the study."""

    topic: ClassVar[str] = "study-forwarded"
    owner: ClassVar[str] = "forward"
    study_id: str
    study_revision: int
    decision_id: str
    delivery_id: str
    destination: str
    sender: Sender
    submissions: tuple[str, ...] = ()
    instances: int
    proof: Proof


class DeliveryRetried(Event):
    """A person had a failed delivery tried again. Key: the study."""

    topic: ClassVar[str] = "delivery-retried"
    owner: ClassVar[str] = "forward"
    study_id: str
    delivery_id: str
    destination: str
    account_id: str
    account: str


class DestinationAway(Event):
    """A destination has not answered for a while, and deliveries wait for it. Key: the destination."""

    topic: ClassVar[str] = "destination-away"
    owner: ClassVar[str] = "forward"
    destination: str
    since: datetime
    waiting: int = Field(description="deliveries that wait for it")


class DestinationBack(Event):
    """A destination that was away answers again. Key: the destination."""

    topic: ClassVar[str] = "destination-back"
    owner: ClassVar[str] = "forward"
    destination: str
    since: datetime = Field(description="when it went away")


class ForwardFailed(Event):
    """A delivery needs a person: it was refused for good, or retries are used up. Key: the study."""

    topic: ClassVar[str] = "forward-failed"
    owner: ClassVar[str] = "forward"
    study_id: str
    study_revision: int
    decision_id: str
    delivery_id: str
    destination: str
    sender: Sender
    submissions: tuple[str, ...] = ()
    sent: int
    instances: int
    reason: str
    said: Said | None = Field(default=None, description="the reason, for readers of any language")
