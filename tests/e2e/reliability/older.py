"""`python -m tests.e2e.reliability.older run SERVICE …`: the service as the release before this one was.

That release did not know some optional fields: it writes them neither into events nor into documents, does
not see those it is given, and drops them from what it saves again.
"""

from typing import Any

import orjson

from anteroom.cli import main
from kit.bus import kafka
from kit.documents import mongo
from kit.documents.port import Collection, D, Doc
from schemas import wire
from schemas.envelope import Event

NOT_YET = frozenset({"values", "contradictions", "previous", "study_time"})
"""Optional fields, by name at any depth: of findings, candidates, patient changes, studies."""

_dump, _loaded = Doc.model_dump, mongo._loaded


def forgot(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: forgot(inner) for name, inner in value.items() if name not in NOT_YET}
    return [forgot(inner) for inner in value] if isinstance(value, list) else value


def encode(event: Event) -> bytes:
    return orjson.dumps(forgot(orjson.loads(wire.encode(event))))


def decode(data: bytes | str) -> Event:
    return wire.decode(orjson.dumps(forgot(orjson.loads(data))))


def dump(doc: Doc, **options: Any) -> dict[str, Any]:
    content: dict[str, Any] = forgot(_dump(doc, **options))
    return content


def loaded(collection: Collection[D], found: dict[str, Any]) -> D:
    return _loaded(collection, {**found, "body": forgot(found["body"])})


if __name__ == "__main__":
    kafka.encode, kafka.decode = encode, decode
    mongo.encode, mongo._loaded = encode, loaded
    Doc.model_dump = dump  # type: ignore[method-assign, assignment]
    main()
