"""Writes the contracts that other languages read: JSON Schema per topic, and one AsyncAPI document.

`python -m schemas.generate` rewrites them; `--check` fails when what is committed differs.
"""

import sys
from pathlib import Path

import orjson

from schemas.asyncapi import document
from schemas.catalogue import TOPICS
from schemas.messages import json_schema

_HERE = Path(__file__).parent
OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def generated() -> dict[Path, bytes]:
    files = {
        _HERE / "json" / f"{name}.v{topic.event.version}.json": orjson.dumps(
            json_schema(topic), option=OPTIONS
        )
        for name, topic in TOPICS.items()
    }
    files[_HERE / "asyncapi.json"] = orjson.dumps(document(), option=OPTIONS)
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
