"""Why an event became a dead letter, as a log keeps it: text, or where it was said by a code, that as JSON.

One field holds both, so that a letter that moves between the adapters, or lies in an earlier version's log,
needs nothing else.
"""

from pydantic import ValidationError

from schemas.shapes import Said

LONGEST = 1000
_CODED = '{"code":'


def stored(reason: Said) -> str:
    """At most 1,000 characters: the text alone, cut, where its code and values do not fit."""
    coded = reason.model_dump_json() if reason.code else ""
    return coded if 0 < len(coded) <= LONGEST else reason.text[:LONGEST]


def told(text: str) -> Said:
    """What was stored, by whichever version."""
    if text.startswith(_CODED):
        try:
            return Said.model_validate_json(text)
        except ValidationError:
            pass
    return Said(text=text)
