"""What may change within a version of an event: nothing that a consumer of an earlier release would notice.

Consumers ignore fields they don't know, so an optional field may come. Everything else breaks somebody: an
old consumer reading new events, or a new one reading what the log still holds. An enumeration beside `string`
(`anyOf`) is open: it only names the words known so far, and others may join them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_WORDS_ABOUT_IT = frozenset({"$defs", "$id", "$schema", "title", "description", "examples", "deprecated"})
_WALKED = frozenset(
    {"properties", "required", "items", "prefixItems", "additionalProperties", "anyOf", "enum"}
)
_STRING = {"type": "string"}


def breaks(released: Schema, present: Schema) -> list[str]:
    """What keeps the present schema of a message from standing for the released one; empty when it may.

    Both are whole documents of JSON Schema as schemas.generate writes them. Order of findings: of the
    released schema's fields.
    """
    return list(_Comparison(released, present).nodes(released, present, ""))


def missing(released: Mapping[str, Schema], present: Mapping[str, Schema]) -> dict[str, list[str]]:
    """`breaks` of every message of a release, by name (`topic.v1`); one that is no longer there is one too.
    New names are no break."""
    found = {
        name: breaks(schema, present[name]) if name in present else ["is no longer published"]
        for name, schema in released.items()
    }
    return {name: reasons for name, reasons in found.items() if reasons}


class _Comparison:
    def __init__(self, released: Schema, present: Schema) -> None:
        self._roots = released, present
        self._compared: set[tuple[str, str]] = set()

    def nodes(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        names = str(old.get("$ref", "")), str(new.get("$ref", ""))
        if all(names):
            if names in self._compared:
                return
            self._compared.add(names)
        old, new = _resolved(old, self._roots[0]), _resolved(new, self._roots[1])
        yield from _same_words(old, new, place)
        yield from self._properties(old, new, place)
        for key in ("items", "additionalProperties"):
            yield from self._under(
                old.get(key), new.get(key), f"{place}[]" if key == "items" else f"{place}.*"
            )
        for key in ("prefixItems", "anyOf"):
            yield from self._branches(old.get(key, []), new.get(key, []), place)
        yield from _enumerations(old, new, place)

    def _properties(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        before, now = old.get("properties", {}), new.get("properties", {})
        needed, needed_now = set(old.get("required", ())), set(new.get("required", ()))
        for name, field in before.items():
            here = f"{place}.{name}".lstrip(".")
            if name not in now:
                yield f"{here} was removed"
                continue
            if name in needed - needed_now:
                yield f"{here} need no longer be there"
            if name in needed_now - needed:
                yield f"{here} became required"
            yield from self.nodes(field, now[name], here)
        for name in now.keys() - before.keys():
            here = f"{place}.{name}".lstrip(".")
            if name in needed_now:
                yield f"{here} is new and required"
            elif old.get("additionalProperties") is False:
                yield f"{here} is new where nothing more was allowed"

    def _under(self, old: Any, new: Any, place: str) -> Iterator[str]:
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from self.nodes(old, new, place)
        elif old != new:
            yield f"{place} was {_shown(old)} and is {_shown(new)}"

    def _branches(self, old: list[Schema], new: list[Schema], place: str) -> Iterator[str]:
        if len(old) != len(new):
            yield f"{place} had {len(old)} forms and has {len(new)}"
            return
        if _STRING in old and _STRING in new:
            old, new = ([branch for branch in each if "enum" not in branch] for each in (old, new))
        for before, now in zip(old, new, strict=True):
            yield from self.nodes(before, now, place)


def _resolved(node: Schema, root: Schema) -> Schema:
    """The node with what it refers to (`#/$defs/Name`), its own words over it."""
    if "$ref" not in node:
        return node
    target = root["$defs"][node["$ref"].removeprefix("#/$defs/")]
    return _resolved({**target, **{key: value for key, value in node.items() if key != "$ref"}}, root)


def _same_words(old: Schema, new: Schema, place: str) -> Iterator[str]:
    """Every keyword that is not compared deeper: types, formats, bounds, constants, defaults."""
    for key in sorted((old.keys() | new.keys()) - _WALKED - _WORDS_ABOUT_IT):
        if old.get(key) != new.get(key):
            yield f"{place} had {key} {_shown(old.get(key))} and has {_shown(new.get(key))}"


def _enumerations(old: Schema, new: Schema, place: str) -> Iterator[str]:
    before, now = old.get("enum"), new.get("enum")
    if before is None or now is None:
        if before != now:
            yield f"{place} {'became' if before is None else 'is no longer'} an enumeration"
        return
    for word in now:
        if word not in before:
            yield f"{place} may be {word!r}, which earlier consumers refuse"
    for word in before:
        if word not in now:
            yield f"{place} may no longer be {word!r}, which the log still holds"


def _shown(value: Any) -> str:
    return "none" if value is None else repr(value)
