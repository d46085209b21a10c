"""Sentences that people read, made where something happened and said in each reader's language later."""

from collections.abc import Sequence

from schemas.shapes import Said

REFUSAL = "refusal:"
"""Before the code of a refusal (kit.errors.Refused), where something said is one."""


def say(code: str, form: str, because: Said | Sequence[Said] = (), /, **values: str | int) -> Said:
    """`form` is the sentence in English, with places such as %(destination)s; %(because)s is that of the
    clauses in it. `code` stays the same when its words change, and another form has another code. No PHI."""
    clauses = (because,) if isinstance(because, Said) else tuple(because)
    text = form % {**values, "because": "; ".join(clause.text for clause in clauses)}
    return Said(code=code, text=text, values=values, because=clauses)


def as_said(reason: "str | Said") -> Said:
    """Words of a library or of an earlier version stay as they are, whoever reads them."""
    return reason if isinstance(reason, Said) else Said(text=reason)
