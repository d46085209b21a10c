"""Which queries a declared index serves."""

import pytest

from kit.documents.port import Collection, Doc, Has, In, Range
from kit.documents.served import served


class Thing(Doc):
    colour: str = ""
    size: int = 0
    due_at: str = ""
    tokens: list[str] = []


THINGS = Collection(
    "things", Thing, fields=("colour", "size", "due_at"), compound=(("colour", "size"),), members="tokens"
)


@pytest.mark.parametrize(
    ("where", "order", "well"),
    [
        ({}, None, True),
        ({}, "size", True),
        ({"id": "a"}, "size", True),
        ({"colour": "red"}, None, True),
        ({"colour": "red"}, "size", True),
        ({"colour": "red", "size": Range(low=1)}, None, True),
        ({"due_at": Range(high="x")}, "due_at", True),
        ({"tokens": Has("x"), "due_at": "y"}, "size", True),
        ({"size": 1}, "colour", False),
        ({"colour": "red"}, "due_at", False),
        ({"colour": "red", "due_at": Range(high="x")}, "due_at", False),
        ({"due_at": Range(high="x")}, "size", False),
        ({"colour": In(["red", "blue"])}, None, True),
        ({"colour": In(["red", "blue"])}, "size", True),
        ({"colour": "red", "due_at": "y"}, "size", True),
        ({"due_at": "y", "size": 1}, "colour", False),
    ],
)
def test_an_index_that_finds_and_orders(where, order, well) -> None:
    assert served(THINGS, where, order) is well
