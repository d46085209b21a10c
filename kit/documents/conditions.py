"""What both adapters share in reading conditions, orders and cursors."""

import base64
from datetime import datetime
from enum import Enum
from typing import Any

import orjson

from kit.documents.port import Collection, instant_text
from kit.errors import Refused

_INTEGERS = 1 << 63
"""Beyond these no adapter has integers."""
LAST = "\U0010ffff"
"""Sorts behind every string of a prefix search."""


def plain(value: Any) -> str | int | float | None:
    """The value as it is stored and compared. Raises TypeError for what can't be filtered by."""
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a {type(value).__name__} can't be filtered by")


def known(collection: Collection[Any], name: str) -> str:
    """A field of the model. Raises ValueError."""
    if name not in collection.model.model_fields:
        raise ValueError(f"{collection.name} has no field {name}")
    return name


def declared(collection: Collection[Any], name: str) -> str:
    """A field that may be filtered and ordered by. Raises ValueError."""
    if name != "id" and name not in collection.fields:
        raise ValueError(f"{collection.name} declares no index on {name}")
    return name


def member_field(collection: Collection[Any], name: str) -> str:
    """The members list. Raises ValueError for another field."""
    if name != collection.members:
        raise ValueError(f"{collection.name} declares no members list {name}")
    return name


def write_cursor(value: Any, doc_id: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([value, doc_id])).decode()


def read_cursor(cursor: str) -> tuple[str | int | float | None, str]:
    """Raises Refused for one that was made up."""
    try:
        value, doc_id = orjson.loads(base64.urlsafe_b64decode(cursor))
    except (ValueError, TypeError) as error:
        raise _made_up() from error
    if not isinstance(doc_id, str) or not isinstance(value, str | int | float | None):
        raise _made_up()
    if isinstance(value, int) and not -_INTEGERS <= value < _INTEGERS:
        raise _made_up()
    return value, doc_id


def _made_up() -> Refused:
    return Refused("bad-cursor", "This page marker is not valid. Start the list again from the beginning.")
