"""Messages that a schema allows, for properties: the keywords that the generated contracts use, no others."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

Schema = Mapping[str, Any]

_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
_KNOWN = {
    *("$ref", "$defs", "$id", "$schema", "title", "description", "default"),
    *("type", "format", "enum", "const", "anyOf"),
    *("properties", "required", "additionalProperties", "items", "prefixItems"),
    *("minItems", "maxItems", "minimum", "maximum"),
}


def messages(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    """Whole messages; fields that are not required come and go, and fields that nobody knows come along."""
    return st.builds(
        lambda known, unknown: {**unknown, **known},
        _of(schema, schema),
        st.dictionaries(st.sampled_from(["added_later", "x-new"]), st.none() | st.integers() | _TEXT),
    )


def _of(node: Schema, root: Schema) -> st.SearchStrategy[Any]:
    assert node.keys() <= _KNOWN, node.keys() - _KNOWN
    if "$ref" in node:
        return st.deferred(lambda: _of(root["$defs"][node["$ref"].rpartition("/")[2]], root))
    if "const" in node:
        return st.just(node["const"])
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if "anyOf" in node:
        return st.one_of([_of(branch, root) for branch in node["anyOf"]])
    return _of_type(node, root)


def _of_type(node: Schema, root: Schema) -> st.SearchStrategy[Any]:
    match node["type"]:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(node.get("minimum", -(2**53)), node.get("maximum", 2**53))
        case "number":
            return st.floats(node.get("minimum", -1e9), node.get("maximum", 1e9), allow_nan=False)
        case "string" if node.get("format") == "date-time":
            return st.datetimes().map(lambda instant: instant.isoformat() + "Z")
        case "string":
            assert "format" not in node
            return _TEXT
        case "array" if "prefixItems" in node:
            return st.tuples(*(_of(item, root) for item in node["prefixItems"])).map(list)
        case "array":
            return st.lists(_of(node["items"], root), max_size=2)
        case "object" if "properties" in node:
            fields = {name: _of(field, root) for name, field in node["properties"].items()}
            optional = fields.keys() - set(node.get("required", ()))
            return st.fixed_dictionaries(
                {name: field for name, field in fields.items() if name not in optional},
                optional={name: fields[name] for name in sorted(optional)},
            )
        case "object":
            return st.dictionaries(_TEXT, _of(node["additionalProperties"], root), max_size=2)
        case other:
            raise AssertionError(f"no messages of type {other}")
