"""QIDO-RS queries (PS3.18 8.3.4): what is asked for, and whether a result matches."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kit.dicom.dictionary import tag_of, vr_of
from kit.errors import Refused

_USUAL = {
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
_USUAL_TAGS = frozenset(_USUAL.values())
"""Known without loading the whole dictionary."""
_CONTROL = frozenset({"limit", "offset", "includefield", "fuzzymatching", "emptyvaluematching", "accept"})
_NOT_MATCHED = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "SQ"})
_RANGES = frozenset({"DA", "TM", "DT"})
_NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})
_LISTS = frozenset({"00080061"})
_MAX_LENGTH = 1024
_MAX_CONDITIONS = 50
ALL = "all"


@dataclass(frozen=True)
class Query:
    """Conditions by tag, all of which must hold, the page asked for, and further attributes to return.
    A tag is 8 hex digits, within a sequence several of them with dots between."""

    conditions: dict[str, str] = field(default_factory=dict)
    limit: int = 100
    offset: int = 0
    fields: frozenset[str] = frozenset()
    fuzzy: bool = False

    @property
    def everything(self) -> bool:
        return ALL in self.fields

    def needs(self, known: Iterable[str]) -> bool:
        """Whether it names attributes beyond the known ones."""
        have = set(known)
        return self.everything or any(
            tag.partition(".")[0] not in have for tag in (*self.conditions, *self.fields)
        )


def parse(parameters: Iterable[tuple[str, str]], most: int) -> Query:
    """Raises Refused for an attribute that can't be asked for, and for numbers that are none."""
    conditions: dict[str, str] = {}
    fields: set[str] = set()
    limit, offset, fuzzy = most, 0, False
    for name, value in parameters:
        if name == "limit":
            limit = min(_number(value), most)
        elif name == "offset":
            offset = _number(value)
        elif name == "fuzzymatching":
            fuzzy = value.lower() == "true"
        elif name == "includefield":
            for one in value.split(","):
                tag = ALL if one == ALL else _tag(one)
                if tag is not None:
                    fields.add(tag)
        elif name not in _CONTROL and value not in ("", "*"):
            conditions[_searchable(name, value)] = value
            if len(conditions) > _MAX_CONDITIONS:
                raise Refused("bad-query", "This search has too many conditions.")
    return Query(conditions, limit, offset, frozenset(fields), fuzzy)


def _searchable(name: str, value: str) -> str:
    tag = _tag(name)
    unknown = tag is None or (tag not in _USUAL_TAGS and vr_of(int(tag[-8:], 16)) in _NOT_MATCHED)
    if tag is None or unknown or len(value) > _MAX_LENGTH:
        raise Refused("bad-query", "This search asks for an attribute that is not searchable here.")
    return tag


def _tag(name: str) -> str | None:
    """8 hex digits or a keyword, or several with dots; None for what is neither."""
    found = []
    for part in name.strip().split("."):
        if re.fullmatch(r"[0-9A-Fa-f]{8}", part):
            found.append(part.upper())
        elif part in _USUAL:
            found.append(_USUAL[part])
        else:
            number = tag_of(part) if part.isascii() and part.isalnum() else None
            if number is None:
                return None
            found.append(f"{number:08X}")
    return ".".join(found) if len(found) <= 4 else None


def _number(value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise Refused("bad-query", "limit and offset must be whole numbers.")
    return int(value)


def matches(attributes: Mapping[str, Any], conditions: Mapping[str, str], *, fuzzy: bool = False) -> bool:
    """Whether all conditions hold; on attributes the result does not have, none does."""
    return all(_holds(attributes, tag, wanted, fuzzy) for tag, wanted in conditions.items())


def _holds(attributes: Mapping[str, Any], path: str, wanted: str, fuzzy: bool) -> bool:
    tag, _, rest = path.partition(".")
    attribute = attributes.get(tag)
    if attribute is None:
        return False
    values = attribute.get("Value", [])
    if rest:
        return any(isinstance(item, dict) and _holds(item, rest, wanted, fuzzy) for item in values)
    return _one(tag, attribute.get("vr", ""), wanted, values, fuzzy)


def _one(tag: str, vr: str, wanted: str, values: list[Any], fuzzy: bool) -> bool:
    texts = [text for value in values for text in _texts(value)]
    if vr == "UI":
        return not set(re.split(r"[,\\]", wanted)).isdisjoint(texts)
    if vr in _RANGES:
        return any(_within(vr, wanted, text) for text in texts)
    if vr == "PN" and fuzzy:
        return any(_sounds_like(wanted, text) for text in texts)
    if vr in _NUMBERS and not set(wanted) & set("*?"):
        return any(_number_of(text) == _number_of(wanted) for text in texts)
    choices = re.split(r"[,\\]", wanted) if tag in _LISTS else [wanted]
    return any(wildcard(choice, text) for choice in choices for text in texts)


def _number_of(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _within(vr: str, wanted: str, text: str) -> bool:
    """A date or time, or a range of them, compared as far as both say."""
    text = text.replace(":", "") if vr == "TM" else text
    wanted = wanted.replace(":", "") if vr == "TM" else wanted
    low, dash, high = wanted.partition("-")
    if not dash:
        return text == wanted or (vr != "DA" and _padded(text) == _padded(wanted))
    return (not low or text[: len(low)] >= low[: len(text)]) and (
        not high or text[: len(high)] <= high[: len(text)]
    )


def _padded(text: str) -> str:
    return text.replace(".", "").ljust(20, "0")


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, dict):
        groups = [str(group) for group in value.values()]
        return [*groups, "=".join(groups)]
    return [str(value)]


def folded(text: str) -> str:
    """Without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def _sounds_like(wanted: str, text: str) -> bool:
    """Every word asked for begins a word of the name, whatever the order, case and accents."""
    words = re.split(r"[\s^=,]+", folded(text))
    asked = [word.strip("*?") for word in re.split(r"[\s^=,*]+", folded(wanted))]
    return all(any(word.startswith(part) for word in words) for part in asked if part)


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
