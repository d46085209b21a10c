"""Events to bytes and back: one JSON object with `topic` and `version` beside the event's fields."""

from functools import cache

import orjson
from pydantic import ConfigDict

from schemas.catalogue import TOPICS
from schemas.envelope import Event


class UnknownEvent(KeyError):
    """An event of a topic or a version that this code was not made for: a consumer passes over it."""


def encode(event: Event) -> bytes:
    return orjson.dumps({"topic": event.topic, "version": event.version, **event.model_dump(mode="json")})


def decode(data: bytes | str) -> Event:
    """Raises UnknownEvent for what a newer producer may send, ValueError for content that breaks the
    contract, KeyError for what is no event at all."""
    fields = orjson.loads(data)
    if not isinstance(fields, dict) or not isinstance(fields.get("topic"), str):
        raise KeyError("topic")
    name, version = fields["topic"], fields["version"]
    topic = TOPICS.get(name)
    if topic is None or topic.event.version != version:
        raise UnknownEvent(f"{name} v{version}")
    return topic.event.model_validate(fields)


def carried(data: bytes | str) -> Event:
    """The event as it is, also where a newer version made it: to be passed on with all its fields, not to be
    understood."""
    fields = orjson.loads(data)
    return _carrier(fields.pop("topic"), fields.pop("version")).model_validate(fields)


@cache
def _carrier(topic: str, version: int) -> type[Event]:
    class Carried(Event):
        model_config = ConfigDict(frozen=True, extra="allow")

    Carried.topic, Carried.version = topic, version
    return Carried
