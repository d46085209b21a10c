"""The contracts of every release, kept as they were: what consumers out there were built against.

`python -m schemas.release VERSION` keeps the present ones under baseline/VERSION; what was kept is never
written again. `--check` says where the present contracts break a release.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from schemas.catalogue import TOPICS
from schemas.compatibility import missing
from schemas.generate import OPTIONS
from schemas.messages import json_schema

_HERE = Path(__file__).parent
BASELINE = _HERE / "baseline"


def present() -> dict[str, dict[str, Any]]:
    """The schemas of what is published now, by name (`topic.v1`)."""
    return {f"{name}.v{topic.event.version}": json_schema(topic) for name, topic in TOPICS.items()}


def releases(folder: Path = BASELINE) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def schemas_of(release: str, folder: Path = BASELINE) -> dict[str, dict[str, Any]]:
    return {
        path.stem: orjson.loads(path.read_bytes()) for path in sorted((folder / release / "json").iterdir())
    }


def examples_of(release: str, folder: Path = BASELINE) -> list[Path]:
    return sorted((folder / release / "examples").rglob("*.json"))


def broken(
    now: Mapping[str, Mapping[str, Any]] | None = None, folder: Path = BASELINE
) -> list[tuple[str, str, str]]:
    """(release, message, what breaks it), over all releases that were kept."""
    now = present() if now is None else now
    return [
        (release, name, reason)
        for release in releases(folder)
        for name, reasons in missing(schemas_of(release, folder), now).items()
        for reason in reasons
    ]


def keep(release: str, folder: Path = BASELINE) -> int:
    """Keep the present contracts as those of the release; returns how many files. Raises FileExistsError for
    a release that was kept already, ValueError when the present contracts break an earlier one."""
    if breaks := broken(folder=folder):
        raise ValueError(f"{breaks[0][1]} breaks release {breaks[0][0]}: {breaks[0][2]}")
    place = folder / release
    files = {
        place / "json" / f"{name}.json": orjson.dumps(schema, option=OPTIONS)
        for name, schema in present().items()
    }
    for example in sorted((_HERE / "examples").rglob("*.json")):
        files[place / example.relative_to(_HERE)] = example.read_bytes()
    place.mkdir(parents=True)
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return len(files)


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        found = broken()
        for release, name, reason in found:
            sys.stderr.write(f"{name} breaks release {release}: {reason}\n")
        return 1 if found else 0
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write("python -m schemas.release VERSION | --check\n")
        return 2
    try:
        count = keep(arguments[0])
    except (FileExistsError, ValueError) as error:
        sys.stderr.write(f"Nothing was kept: {error}\n")
        return 1
    sys.stdout.write(f"{count} files kept in {BASELINE.relative_to(_HERE.parent) / arguments[0]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
