"""The contracts hold: examples validate, files are what the code says, nothing is orphaned."""

import ast
import inspect
import json
from pathlib import Path

import jsonschema
import pytest

import schemas
from schemas.catalogue import TOPICS
from schemas.envelope import Event
from schemas.generate import differing
from schemas.messages import json_schema
from schemas.wire import decode, encode

FOLDER = Path(schemas.__file__).parent
ROOT = FOLDER.parent
EXAMPLES = sorted((FOLDER / "examples").rglob("*.json"))


def _subclasses(kind: type) -> set[type]:
    return {kind} | {deep for sub in kind.__subclasses__() for deep in _subclasses(sub)}


def test_generated_files_are_what_the_code_says() -> None:
    assert differing() == []


def test_every_event_is_in_the_catalogue_and_has_an_owner() -> None:
    written = {kind for kind in _subclasses(Event) if "<locals>" not in kind.__qualname__}
    assert written - {Event} == {topic.event for topic in TOPICS.values()}
    services = {path.name for path in (ROOT / "services").iterdir() if path.is_dir()}
    assert {topic.event.owner for topic in TOPICS.values()} <= services


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_has_an_example_and_a_line_in_the_readmes(topic: str) -> None:
    assert any(path.parent.name == topic for path in EXAMPLES)
    assert f"`{topic}`" in (FOLDER / "README.md").read_text()
    owner = TOPICS[topic].event.owner
    assert topic in (ROOT / "services" / owner / "README.md").read_text()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_example_validates_and_survives_the_round_trip(path: Path) -> None:
    content = json.loads(path.read_text())
    assert content["topic"] == path.parent.name
    jsonschema.validate(content, json_schema(TOPICS[content["topic"]]))
    event = decode(path.read_bytes())
    assert decode(encode(event)) == event
    assert json.loads(encode(event)) == content


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_newer_producers_additions_are_ignored(path: Path) -> None:
    content = json.loads(path.read_text())
    assert decode(json.dumps({**content, "added_later": {"x": 1}})) == decode(path.read_bytes())


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_is_published_by_its_owner_and_by_nobody_else(topic: str) -> None:
    event = TOPICS[topic].event
    makers = set()
    for path in (ROOT / "services").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("first", "after")
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == event.__name__
            ):
                makers.add(path.relative_to(ROOT / "services").parts[0])
    assert makers == {event.owner}


def test_events_are_immutable_and_documented() -> None:
    for topic in TOPICS.values():
        assert topic.event.model_config["frozen"]
        assert inspect.getdoc(topic.event)
