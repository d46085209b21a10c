"""Events of the forward service."""

from typing import ClassVar

from schemas.envelope import Event
from schemas.shapes import Proof, Sender


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
