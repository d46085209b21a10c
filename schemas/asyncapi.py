"""All topics as one AsyncAPI 3.0 document: what is said there, by whom, and how its log is kept.

The document stands alone. Its schemas are those of json/ in the words of JSON Schema draft 7, which the tools
of AsyncAPI read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.catalogue import TOPICS, Topic
from schemas.messages import json_schema

_BINDING = "0.5.0"
_SECURITY = {"PLAIN": "plain", "SCRAM-SHA-256": "scramSha256", "SCRAM-SHA-512": "scramSha512"}


@dataclass(frozen=True)
class Installation:
    """Where one installation's topics are."""

    brokers: tuple[str, ...] = ()
    """host:port of Kafka."""
    tls: bool = False
    mechanism: str = ""
    """How one proves who one is to Kafka: SCRAM-SHA-512 and the like; empty: not at all."""
    prefix: str = ""
    """Before the names of topics."""
    partitions: int = 1 << 30
    """At most so many a topic."""
    replicas: int | None = None


ANYWHERE = Installation()


def document(installation: Installation = ANYWHERE, *, version: str = "1") -> dict[str, Any]:
    """`version` is that of the running software."""
    schemas: dict[str, Any] = {}
    messages, channels, operations = {}, {}, {}
    for name, topic in TOPICS.items():
        title = topic.event.__name__
        messages[title] = _message(topic, schemas)
        channels[name] = _channel(name, topic, installation)
        operations[f"{topic.event.owner}-publishes-{name}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{name}"},
            "messages": [{"$ref": f"#/channels/{name}/messages/{title}"}],
            "tags": [{"name": topic.event.owner}],
        }
    found: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Anteroom events",
            "version": version,
            "description": "At least once, in order per key. Pass over fields, events and versions that you "
            "don't know; remember the ids you have handled.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": dict(sorted(schemas.items()))},
    }
    if installation.brokers:
        found |= _servers(installation, found["components"])
    return found


def _message(topic: Topic, schemas: dict[str, Any]) -> dict[str, Any]:
    """The message; its schema and those it refers to go into `schemas` by name."""
    title = topic.event.__name__
    whole = json_schema(topic)
    for name, shape in whole.pop("$defs", {}).items():
        drawn = _in_draft_7(shape)
        if schemas.setdefault(name, drawn) != drawn:
            raise ValueError(f"there are two shapes named {name}")
    schemas[title] = _in_draft_7({key: value for key, value in whole.items() if key[0] != "$"})
    return {
        "name": title,
        "title": f"{topic.event.topic} v{topic.event.version}",
        "summary": " ".join((topic.event.__doc__ or "").split("\n\n")[0].split()),
        "contentType": "application/json",
        "correlationId": {"location": "$message.payload#/correlation_id"},
        "payload": {"$ref": f"#/components/schemas/{title}"},
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": _BINDING}},
    }


def _channel(name: str, topic: Topic, installation: Installation) -> dict[str, Any]:
    title = topic.event.__name__
    kept = topic.configuration()
    configuration: dict[str, Any] = {"cleanup.policy": [kept["cleanup.policy"]]}
    if "retention.ms" in kept:
        configuration["retention.ms"] = int(kept["retention.ms"])
    binding: dict[str, Any] = {
        "topic": installation.prefix + name,
        "partitions": min(topic.partitions, installation.partitions),
        "topicConfiguration": configuration,
        "bindingVersion": _BINDING,
    }
    if installation.replicas is not None:
        binding["replicas"] = installation.replicas
    return {
        "address": installation.prefix + name,
        "messages": {title: {"$ref": f"#/components/messages/{title}"}},
        "bindings": {"kafka": binding},
    }


def _servers(installation: Installation, components: dict[str, Any]) -> dict[str, Any]:
    server: dict[str, Any] = {"protocol": "kafka-secure" if installation.tls else "kafka"}
    if installation.mechanism:
        components["securitySchemes"] = {"account": {"type": _SECURITY[installation.mechanism]}}
        server["security"] = [{"$ref": "#/components/securitySchemes/account"}]
    return {
        "servers": {
            f"kafka-{number}": {"host": broker, **server}
            for number, broker in enumerate(installation.brokers, 1)
        }
    }


def _in_draft_7(node: Any) -> Any:
    """The same schema where draft 7 says it otherwise, and referring to `components`."""
    if isinstance(node, list):
        return [_in_draft_7(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    changed = {key: _in_draft_7(value) for key, value in node.items()}
    if "prefixItems" in changed:
        changed["items"] = changed.pop("prefixItems")
    reference = changed.get("$ref")
    if isinstance(reference, str):
        changed["$ref"] = reference.replace("#/$defs/", "#/components/schemas/")
    return changed
