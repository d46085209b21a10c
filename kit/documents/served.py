"""Whether a query is answered by a declared index, without sorting an unbounded set."""

from collections.abc import Mapping
from typing import Any

from kit.documents.port import Collection, Has, HasPrefix, Range


def served(collection: Collection[Any], where: Mapping[str, Any], order: str | None) -> bool:
    """True when one index finds the documents in their order.

    Either the members list narrows them to few, or an index begins with fields that are compared for
    equality (In counts: its ranges are merged) and goes on with the field they are ordered by, or by
    which a range is taken. Further conditions are tested on what comes in that order.
    """
    if any(isinstance(wanted, Has | HasPrefix) for wanted in where.values()):
        return True
    equal = {name for name, wanted in where.items() if not isinstance(wanted, Range)}
    ranges = {name for name, wanted in where.items() if isinstance(wanted, Range)}
    if "id" in equal or (not where and order in (None, "id")):
        return True
    last = order if order not in (None, "id") else next(iter(ranges), None)
    for index in [(name,) for name in collection.fields] + list(collection.compound):
        *first, end = index
        if last is None and index[0] in equal:
            return True
        if end == last and equal >= set(first) and bool(first) == bool(equal) and ranges <= {last}:
            return True
    return False
