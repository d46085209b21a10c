"""Writes the contracts that other languages read: JSON Schema per topic, and one AsyncAPI document.

`python -m schemas.generate` rewrites them; `--check` fails when what is committed differs.
"""

import sys
from pathlib import Path
from typing import Any

import orjson

from schemas.catalogue import TOPICS, Topic

_HERE = Path(__file__).parent
OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


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


def asyncapi() -> dict[str, Any]:
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for name, topic in TOPICS.items():
        event = topic.event
        title = event.__name__
        messages[title] = {
            "name": title,
            "summary": (event.__doc__ or "").split("\n\n")[0].replace("\n    ", " "),
            "contentType": "application/json",
            "payload": {"$ref": f"./json/{name}.v{event.version}.json"},
        }
        channels[name] = {
            "address": name,
            "messages": {title: {"$ref": f"#/components/messages/{title}"}},
            "bindings": {
                "kafka": {
                    "partitions": topic.partitions,
                    "topicConfiguration": {"retention.ms": topic.retention_days * 86_400_000},
                }
            },
        }
        operations[f"{event.owner}-publishes-{name}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{name}"},
            "tags": [{"name": event.owner}],
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Anteroom events",
            "version": "1",
            "description": "See README.md beside this file.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def generated() -> dict[Path, bytes]:
    files = {
        _HERE / "json" / f"{name}.v{topic.event.version}.json": orjson.dumps(
            json_schema(topic), option=OPTIONS
        )
        for name, topic in TOPICS.items()
    }
    files[_HERE / "asyncapi.json"] = orjson.dumps(asyncapi(), option=OPTIONS)
    return files


def differing() -> list[Path]:
    """Files that are not as the code would write them, orphans included."""
    files = generated()
    stale = [path for path, content in files.items() if not path.exists() or path.read_bytes() != content]
    orphans = [path for path in (_HERE / "json").glob("*.json") if path not in files]
    return sorted(stale + orphans)


def main(arguments: list[str]) -> int:
    if "--check" in arguments:
        stale = differing()
        for path in stale:
            sys.stderr.write(
                f"{path.relative_to(_HERE.parent)} is not what the code says: run make schemas\n"
            )
        return 1 if stale else 0
    for path, content in generated().items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
