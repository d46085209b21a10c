"""What every event carries around its content."""

import uuid
from datetime import datetime
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

_NAMESPACE = uuid.UUID("0b9b7a52-5b0f-5a5e-8f1c-5d3f2f8d1c77")


class Event(BaseModel):
    """A fact in the past tense, immutable. Unknown fields are ignored, so that optional additions
    need no new version; anything else is a new version of the topic."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    topic: ClassVar[str]
    version: ClassVar[int] = 1
    owner: ClassVar[str] = ""
    """The one service that publishes it."""

    id: str = Field(description="UUID; the same fact published twice has the same id")
    cause: str | None = Field(default=None, description="id of the event that led to this one")
    correlation_id: str = Field(description="the same for everything that follows from one act of sending")
    time: datetime = Field(description="UTC instant at which it became true")
    key: str = Field(description="events of one key are delivered in order")

    @classmethod
    def first(cls, *, time: datetime, key: str, correlation_id: str, step: str = "", **content: Any) -> Self:
        """An event that no other event caused; its id derives from key and step."""
        event_id = str(uuid.uuid5(_NAMESPACE, f"{cls.topic}\x1f{key}\x1f{step}"))
        return cls(id=event_id, correlation_id=correlation_id, time=time, key=key, **content)

    @classmethod
    def after(cls, cause: "Event", *, time: datetime, key: str, step: str = "", **content: Any) -> Self:
        """An event caused by another: uuid5(topic, cause, step), so a redelivery makes the same id."""
        event_id = str(uuid.uuid5(_NAMESPACE, f"{cls.topic}\x1f{cause.id}\x1f{step}"))
        return cls(
            id=event_id, cause=cause.id, correlation_id=cause.correlation_id, time=time, key=key, **content
        )
