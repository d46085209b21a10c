"""Old consumers read new events, new ones read old events, and a change that breaks either is found."""

import copy
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings

import schemas
from schemas import release
from schemas.catalogue import TOPICS
from schemas.compatibility import breaks, missing
from schemas.wire import UnknownEvent, decode, encode
from tests.contract.messages import messages

ROOT = Path(schemas.__file__).parents[1]
RELEASES = release.releases()
RELEASED = [(version, name) for version in RELEASES for name in release.schemas_of(version)]
NOW = release.present()
BIG = "study-decided.v1"

Schema = dict[str, Any]


def _validator(schema: Schema) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema)


def test_the_present_contracts_stand_for_every_release() -> None:
    assert RELEASES
    assert release.broken() == []


@pytest.mark.skipif(not (ROOT / ".git").exists() or not shutil.which("git"), reason="no history here")
def test_what_was_released_was_never_written_again() -> None:
    command = ["git", "log", "--diff-filter=MDRT", "--no-renames", "--format=", "--name-only"]
    changed = subprocess.run(
        [*command, "--", "schemas/baseline"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert changed.stdout.split() == []


@pytest.mark.parametrize("version", RELEASES)
def test_a_new_consumer_reads_the_examples_of_a_release(version: str) -> None:
    examples = release.examples_of(version)
    assert {path.parent.name for path in examples} == {
        name.partition(".")[0] for name in release.schemas_of(version)
    }
    for path in examples:
        event = decode(path.read_bytes())
        old = json.loads(path.read_bytes())
        new = json.loads(encode(event))
        _validator(release.schemas_of(version)[f"{event.topic}.v{event.version}"]).validate(new)
        assert _covers(new, old)


def _covers(new: Any, old: Any) -> bool:
    """Whether `new` says all that `old` does; fields may have come since."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(name in new and _covers(new[name], value) for name, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_covers, new, old))
    return bool(new == old)


@pytest.mark.parametrize(("version", "name"), RELEASED)
def test_a_new_consumer_reads_what_a_release_may_have_written(version: str, name: str) -> None:
    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(messages(release.schemas_of(version)[name]))
    def reads(message: Schema) -> None:
        event = decode(json.dumps(message))
        assert (event.topic, event.id, event.key) == (message["topic"], message["id"], message["key"])

    reads()


@pytest.mark.parametrize(("version", "name"), RELEASED)
def test_an_old_consumer_reads_what_is_written_now(version: str, name: str) -> None:
    """The released schema with unknown fields passed over is how such a consumer reads."""
    old = _validator(release.schemas_of(version)[name])

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(messages(NOW[name]))
    def reads(message: Schema) -> None:
        old.validate(json.loads(encode(decode(json.dumps(message)))))

    reads()


def test_new_events_and_new_versions_beside_the_old_are_no_break() -> None:
    assert missing(NOW, {**NOW, "study-arrived-v2.v2": {}, "something-else.v1": {}}) == {}


def test_an_event_that_is_no_longer_published_is_a_break() -> None:
    fewer = {name: NOW[name] for name in NOW if name != BIG}
    assert missing(NOW, fewer) == {BIG: ["is no longer published"]}


@pytest.mark.parametrize("changes", [{"topic": "study-praised"}, {"version": 2}])
def test_events_of_a_newer_producer_are_told_apart_from_broken_ones(changes: Schema) -> None:
    example = release.examples_of(RELEASES[0])[0]
    for nothing in (b"[]", b"1", b'{"topic": ["x"], "version": 1}', b"{}"):
        with pytest.raises(KeyError):
            decode(nothing)
    with pytest.raises(UnknownEvent):
        decode(json.dumps({**json.loads(example.read_bytes()), **changes}))


def test_a_version_of_its_own_is_a_topic_of_its_own() -> None:
    for name, topic in TOPICS.items():
        version = topic.event.version
        assert name.endswith(f"-v{version}") if version > 1 else not name[-1].isdigit()


# the checker itself: every edit of every field that breaks somebody is found, and no other


def _edit(path: tuple[Any, ...], change: Callable[[Any], None]) -> Callable[[Schema], None]:
    def apply(schema: Schema) -> None:
        node: Any = schema
        for step in path:
            node = node[step]
        change(node)

    return apply


def _breaking(node: Schema) -> Iterator[tuple[str, Callable[[Any], None]]]:
    """Edits of one node of a schema that somebody would notice."""
    if "$ref" in node:
        yield "becomes a text", lambda n: (n.pop("$ref"), n.update(type="string"))
        return
    if "enum" in node:
        yield "gets a word", lambda n: n["enum"].append("new-word")
        yield "loses a word", lambda n: n["enum"].pop()
        yield "is any text", lambda n: n.pop("enum")
    if "const" in node:
        yield "is another constant", lambda n: n.update(const="another")
    if "anyOf" in node:
        yield "takes another form", lambda n: n["anyOf"].append({"type": "boolean"})
        yield "loses a form", lambda n: n["anyOf"].pop()
    if "type" in node:
        other = "string" if node["type"] != "string" else "integer"
        yield "changes its type", lambda n: n.update(type=other)
    if "format" in node:
        yield "loses its format", lambda n: n.pop("format")
    if "minimum" in node:
        yield "moves its bound", lambda n: n.update(minimum=n["minimum"] + 1)
    if "default" in node:
        yield "means something else when absent", lambda n: n.update(default="other")
    for name in node.get("properties", {}):
        yield f"loses {name}", lambda n, name=name: _remove(n, name)
        yield f"renames {name}", lambda n, name=name: _rename(n, name)
        if name in node.get("required", ()):
            yield f"frees {name}", lambda n, name=name: n["required"].remove(name)
        else:
            yield f"wants {name}", lambda n, name=name: n.setdefault("required", []).append(name)
    if "properties" in node:
        yield "wants something new", lambda n: _add(n, required=True)


def _remove(node: Schema, name: str) -> None:
    del node["properties"][name]
    if name in node.get("required", ()):
        node["required"].remove(name)


def _rename(node: Schema, name: str) -> None:
    node["properties"][f"{name}_2"] = node["properties"].pop(name)
    if name in node.get("required", ()):
        node["required"][node["required"].index(name)] = f"{name}_2"


def _add(node: Schema, *, required: bool = False) -> None:
    node["properties"]["added"] = {"type": "string"}
    if required:
        node.setdefault("required", []).append("added")


def _nodes(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Schema]]:
    """Every schema within a schema but the words of open enumerations."""
    yield path, node
    for key in ("properties", "$defs"):
        for name, child in node.get(key, {}).items():
            yield from _nodes(child, (*path, key, name))
    for key in ("anyOf", "prefixItems"):
        for place, child in enumerate(node.get(key, [])):
            is_open = key == "anyOf" and {"type": "string"} in node[key] and "enum" in child
            if not is_open:
                yield from _nodes(child, (*path, key, place))
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from _nodes(node[key], (*path, key))


def test_every_breaking_edit_is_found() -> None:
    before, survivors, tried = NOW[BIG], [], 0
    for path, node in _nodes(before):
        for what, change in _breaking(node):
            after = copy.deepcopy(before)
            _edit(path, change)(after)
            tried += 1
            if not breaks(before, after):
                survivors.append(f"{'/'.join(map(str, path))} {what}")
    assert survivors == []
    assert tried > 400


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(_edit((), _add), id="an optional field of the message"),
        pytest.param(_edit(("$defs", "Study"), _add), id="an optional field of a shape"),
        pytest.param(
            _edit(("$defs", "Study"), lambda n: n.update(description="better said")), id="other words"
        ),
        pytest.param(
            _edit(("$defs", "Sender", "properties", "door", "anyOf", 0), lambda n: n["enum"].append("fax")),
            id="a word of an open enumeration",
        ),
        pytest.param(
            _edit(("$defs", "Sender", "properties", "door", "anyOf", 0), lambda n: n["enum"].remove("stow")),
            id="an open enumeration without a word",
        ),
    ],
)
def test_an_addition_is_no_break(edit: Callable[[Schema], None]) -> None:
    before = NOW[BIG]
    after = copy.deepcopy(before)
    edit(after)
    assert after != before
    assert breaks(before, after) == []


@pytest.mark.parametrize("name", [name for name in NOW if name != BIG])
def test_no_message_passes_for_another(name: str) -> None:
    assert breaks(NOW[name], NOW[name]) == []
    assert breaks(NOW[BIG], NOW[name]) != []


def test_a_release_is_kept_once_and_only_when_it_breaks_none(tmp_path: Path) -> None:
    assert release.keep("1.0", tmp_path) > 2 * len(TOPICS) - 1
    assert release.broken(folder=tmp_path) == []
    with pytest.raises(FileExistsError):
        release.keep("1.0", tmp_path)
    path = tmp_path / "1.0" / "json" / "notice-sent.v1.json"
    schema = json.loads(path.read_text())
    schema["properties"]["sort"] = {"type": "string"}
    path.write_text(json.dumps(schema))
    assert release.broken(folder=tmp_path) == [("1.0", "notice-sent.v1", "sort was removed")]
    with pytest.raises(ValueError, match="breaks release"):
        release.keep("1.1", tmp_path)
    assert release.releases(tmp_path) == ["1.0"]
