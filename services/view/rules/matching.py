"""QIDO-RS matching (PS3.18 8.3.4): which attributes a query names, and whether a result matches."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kit.errors import Refused

_KEYWORDS = {
    "StudyDate": "00080020",
    "StudyTime": "00080030",
    "AccessionNumber": "00080050",
    "Modality": "00080060",
    "ModalitiesInStudy": "00080061",
    "ReferringPhysicianName": "00080090",
    "StudyDescription": "00081030",
    "SeriesDescription": "0008103E",
    "SOPClassUID": "00080016",
    "SOPInstanceUID": "00080018",
    "PatientName": "00100010",
    "PatientID": "00100020",
    "IssuerOfPatientID": "00100021",
    "PatientBirthDate": "00100030",
    "PatientSex": "00100040",
    "BodyPartExamined": "00180015",
    "StudyInstanceUID": "0020000D",
    "SeriesInstanceUID": "0020000E",
    "StudyID": "00200010",
    "SeriesNumber": "00200011",
    "InstanceNumber": "00200013",
}
_TAGS = frozenset(_KEYWORDS.values())
_RANGES = frozenset({"00080020", "00080030", "00100030"})
_UIDS = frozenset({"00080016", "00080018", "0020000D", "0020000E"})
_CONTROL = frozenset({"limit", "offset", "includefield", "fuzzymatching"})
_MAX_LENGTH = 1024


@dataclass(frozen=True)
class Query:
    """Conditions by tag, all of which must hold, and the page asked for."""

    conditions: dict[str, str] = field(default_factory=dict)
    limit: int = 100
    offset: int = 0


def parse(parameters: Iterable[tuple[str, str]], most: int) -> Query:
    """Raises Refused for an attribute that can't be asked for, and for numbers that are none."""
    conditions: dict[str, str] = {}
    limit, offset = most, 0
    for name, value in parameters:
        if name == "limit":
            limit = min(_number(value), most)
        elif name == "offset":
            offset = _number(value)
        elif name not in _CONTROL and value not in ("", "*"):
            tag = _KEYWORDS.get(name) or name.upper()
            if tag not in _TAGS or len(value) > _MAX_LENGTH:
                raise Refused("bad-query", "This search asks for an attribute that is not searchable here.")
            conditions[tag] = value
    return Query(conditions, limit, offset)


def _number(value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise Refused("bad-query", "limit and offset must be whole numbers.")
    return int(value)


def matches(attributes: Mapping[str, Any], conditions: Mapping[str, str]) -> bool:
    """Whether all conditions hold; on attributes the result does not have, none does."""
    return all(
        tag in attributes and _one(tag, wanted, attributes[tag].get("Value", []))
        for tag, wanted in conditions.items()
    )


def _one(tag: str, wanted: str, values: list[Any]) -> bool:
    texts = [text for value in values for text in _texts(value)]
    if tag in _UIDS:
        return not set(re.split(r"[,\\]", wanted)).isdisjoint(texts)
    if tag in _RANGES and "-" in wanted:
        low, _, high = wanted.partition("-")
        return any(
            low <= text[: len(low) or None] and (not high or text[: len(high)] <= high) for text in texts
        )
    choices = re.split(r"[,\\]", wanted) if tag == "00080061" else [wanted]
    return any(wildcard(choice, text) for choice in choices for text in texts)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        groups = [str(group) for group in value.values()]
        return [*groups, "=".join(groups)]
    return [str(value)]


def wildcard(wanted: str, text: str) -> bool:
    """Whether the whole text fits, * standing for any run and ? for one character (PS3.4 C.2.2.2.4),
    without regard to case. Takes no more than len(wanted) × len(text) steps."""
    wanted, text = wanted.casefold(), text.casefold()
    place = spot = 0
    star, mark = -1, 0
    while spot < len(text):
        if place < len(wanted) and wanted[place] == "*":
            star, mark = place, spot
            place += 1
        elif place < len(wanted) and wanted[place] in ("?", text[spot]):
            place += 1
            spot += 1
        elif star >= 0:
            mark += 1
            place, spot = star + 1, mark
        else:
            return False
    return not wanted[place:].strip("*")
