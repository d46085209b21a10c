"""Events to bytes and back: one JSON object with `topic` and `version` beside the event's fields."""

import orjson

from schemas.catalogue import TOPICS
from schemas.envelope import Event


def encode(event: Event) -> bytes:
    return orjson.dumps({"topic": event.topic, "version": event.version, **event.model_dump(mode="json")})


def decode(data: bytes | str) -> Event:
    """Raises KeyError for an unknown topic, ValueError for content that breaks the contract."""
    fields = orjson.loads(data)
    return TOPICS[fields["topic"]].event.model_validate(fields)
