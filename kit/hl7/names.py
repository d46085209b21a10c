"""Person names between HL7 XPN (2.5.1 chapter 2.A.88) and DICOM PN (PS3.5 6.2).

XPN is family^given^middle^suffix^prefix^degree^type^representation, PN is
family^given^middle^prefix^suffix with up to three groups: alphabetic=ideographic=phonetic.
"""

import re
from collections.abc import Sequence

from kit.hl7.message import NULL, Value, escape

_BREAKING = re.compile(r"[\^=\\\x00-\x1f\x7f]")
_GROUP = {"A": 0, "I": 1, "P": 2}
_NOT_THE_NAME = ("M", "N", "P", "S", "A", "NOUSE")
"""Maiden, nickname, partner's, pseudonym, alias: other names of the person (table 0200)."""


def pn_from_xpn(values: Sequence[Value]) -> str:
    """The legal name of the repetitions as PN; empty when there is none."""
    groups = ["", "", ""]
    legal = values
    if len(values) > 1:
        legal = [value for value in values if value.text(7).upper() not in _NOT_THE_NAME] or values
    for value in legal:
        name = one_pn(value)
        place = _GROUP.get(value.text(8).upper(), 0)
        if name and not groups[place]:
            groups[place] = name
    return "=".join(groups).rstrip("=")


def other_names(values: Sequence[Value], legal: str) -> list[str]:
    """Names of the repetitions besides the legal one, as single-group PN, at most 8."""
    if len(values) < 2:
        return []
    groups = legal.split("=")
    names = dict.fromkeys(one_pn(value) for value in values)
    return [name for name in names if name and name not in groups][:8]


def one_pn(value: Value) -> str:
    """One XPN repetition as one PN group."""
    if value.raw == NULL:
        return ""
    given_parts = value.raw.count(value.delimiters.component) + 1
    parts = [_clean(value.text(n)) if n <= given_parts else "" for n in range(1, 7)]
    family, given, middle, suffix, prefix, degree = parts
    parts = [family, given, middle, prefix, " ".join(part for part in (suffix, degree) if part)]
    return "^".join(parts).rstrip("^")


def xpn_from_pn(name: str) -> list[str]:
    """PN as escaped XPN values, one repetition a group."""
    repetitions = []
    for code, group in zip(_GROUP, name.split("="), strict=False):
        if group:
            parts = [escape(part) for part in (group.split("^") + [""] * 5)[:5]]
            family, given, middle, prefix, suffix = parts
            repetitions.append("^".join([family, given, middle, suffix, prefix, "", "L", code]))
    return repetitions


def _clean(part: str) -> str:
    """Without what would break a PN: delimiters and control characters; at most 64 characters."""
    if not part or part == NULL:
        return ""
    return " ".join(_BREAKING.sub(" ", part).split())[:64]
