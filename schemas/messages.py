"""The schema of a whole message, as it is in a topic."""

from typing import Any

from schemas.catalogue import Topic


def json_schema(topic: Topic) -> dict[str, Any]:
    """JSON Schema 2020-12 of the whole message, `topic` and `version` included."""
    event = topic.event
    schema = event.model_json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["$id"] = f"anteroom:{event.topic}:{event.version}"
    schema["properties"]["topic"] = {"const": event.topic}
    schema["properties"]["version"] = {"const": event.version}
    # optional fields stay optional for consumers: an older producer may not send them
    required = [name for name, field in event.model_fields.items() if field.is_required()]
    schema["required"] = ["topic", "version", *required]
    return schema
