"""Which presentation contexts to offer, and what to send where a syntax was not accepted."""

from collections.abc import Iterable

EXPLICIT_LE = "1.2.840.10008.1.2.1"
IMPLICIT_LE = "1.2.840.10008.1.2"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"
PLAIN = (EXPLICIT_LE, IMPLICIT_LE)
MOST_CONTEXTS = 128
"""Context ids are the odd numbers of one byte (PS3.8 9.3.2.2)."""

Pair = tuple[str, str]
"""SOP class and stored transfer syntax."""
Offer = tuple[str, tuple[str, ...]]
"""SOP class and the transfer syntaxes of one presentation context."""


def offers(pairs: Iterable[Pair]) -> list[list[Offer]]:
    """The contexts of one association after another; all of one SOP class are in the same one.

    Each stored syntax has a context of its own, so that the destination can't prefer another one;
    the two plain encodings follow, each alone, as something to fall back to.
    """
    by_class: dict[str, list[str]] = {}
    for sop_class, syntax in sorted(set(pairs)):
        by_class.setdefault(sop_class, []).append(syntax)
    associations: list[list[Offer]] = [[]]
    for sop_class, stored in by_class.items():
        wanted = [*stored, *(syntax for syntax in PLAIN if syntax not in stored)]
        contexts = [(sop_class, (syntax,)) for syntax in wanted[:MOST_CONTEXTS]]
        if len(associations[-1]) + len(contexts) > MOST_CONTEXTS:
            associations.append([])
        associations[-1].extend(contexts)
    return [association for association in associations if association]


def syntax_to_send(stored: str, accepted: set[str]) -> str | None:
    """As stored where the destination takes it, else a plain encoding it takes; None: neither."""
    return next((syntax for syntax in (stored, *PLAIN) if syntax in accepted), None)
