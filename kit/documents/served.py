"""Whether a query is answered by a declared index, without sorting or filtering an unbounded set."""

from collections.abc import Mapping
from typing import Any

from kit.documents.port import Collection, Has, HasPrefix, In, Range


def served(collection: Collection[Any], where: Mapping[str, Any], order: str | None) -> bool:
    """True when one index finds the documents in their order.

    Either the members list narrows them to few, or an index begins with the fields that are compared
    for equality and goes on with the field they are ordered by, or by which a range is taken.
    """
    if any(isinstance(wanted, Has | HasPrefix) for wanted in where.values()):
        return True
    equal = {name for name, wanted in where.items() if not isinstance(wanted, Range)}
    ranges = {name for name, wanted in where.items() if isinstance(wanted, Range)}
    if "id" in equal or (not where and order in (None, "id")):
        return True
    several = any(isinstance(wanted, In) and len(wanted.values) > 1 for wanted in where.values())
    last = order if order not in (None, "id") else next(iter(ranges), None)
    for index in [(name,) for name in collection.fields] + list(collection.compound):
        *first, end = index
        if last is None and set(index) >= equal and index[0] in equal:
            return True
        if end == last and set(first) == equal and ranges <= {last} and not (several and order):
            return True
    return False
