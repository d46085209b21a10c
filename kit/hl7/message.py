"""A lean, tolerant reader of HL7 v2 messages in ER7 form (HL7 2.5.1 chapter 2).

Nothing is validated: unknown segments, missing fields and odd delimiters read as empty text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

NULL = '""'
"""An explicit null: the sender says the value is to be deleted (chapter 2.5.3)."""

_SPECIAL = "\\|^&~"
_ENVELOPE = ("FHS", "BHS", "BTS", "FTS")
_BLANK = "\ufeff \t\0"
_LINE_ENDS = re.compile(r"\r\n|\n|\x0b|\x1c")


class NotHl7(ValueError):
    """The text is no HL7 message. The text of the error never holds content."""


@dataclass(frozen=True, slots=True)
class Delimiters:
    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"


STANDARD = Delimiters()


@dataclass(frozen=True, slots=True)
class Value:
    """One repetition of a field, not yet unescaped."""

    raw: str
    delimiters: Delimiters

    def text(self, component: int = 1, subcomponent: int = 1) -> str:
        """Component and subcomponent (from 1), unescaped and stripped; empty when absent."""
        part = _part(self.raw, self.delimiters.component, component)
        part = _part(part, self.delimiters.subcomponent, subcomponent)
        return unescape(part, self.delimiters).strip() if part else ""


def _part(text: str, separator: str, number: int) -> str:
    if not separator or separator not in text:
        return text if number == 1 else ""
    parts = text.split(separator, number)
    return parts[number - 1] if number <= len(parts) else ""


@dataclass(frozen=True, slots=True)
class Segment:
    name: str
    fields: list[str]
    """fields[n] is field n, so that MSH-1 is the separator itself and MSH-2 the encoding characters."""
    delimiters: Delimiters

    def raw(self, number: int) -> str:
        return self.fields[number] if number < len(self.fields) else ""

    def values(self, number: int) -> list[Value]:
        """All repetitions of a field; none when it is empty."""
        raw = self.raw(number)
        if not raw:
            return []
        if self.delimiters.repetition:
            return [Value(part, self.delimiters) for part in raw.split(self.delimiters.repetition)]
        return [Value(raw, self.delimiters)]

    def text(self, number: int, component: int = 1, subcomponent: int = 1) -> str:
        """Of the first repetition, unescaped."""
        values = self.values(number)
        return values[0].text(component, subcomponent) if values else ""


@dataclass(frozen=True, slots=True)
class Message:
    """`code` is MSH-9.1, such as ADT; `trigger` MSH-9.2, such as A08, or EVN-1 where that is missing."""

    segments: list[Segment]
    code: str
    trigger: str

    @property
    def header(self) -> Segment:
        return self.segments[0]

    def first(self, name: str) -> Segment | None:
        return next((segment for segment in self.segments if segment.name == name), None)

    def all(self, name: str) -> Iterator[Segment]:
        return (segment for segment in self.segments if segment.name == name)

    @property
    def control_id(self) -> str:
        return self.header.text(10)


def parse(text: str, *, longest: int | None = None) -> Message:
    """One message. Raises NotHl7 when it does not begin with a usable MSH segment.

    `longest`: of longer fields only the whole repetitions within so many characters are read.
    """
    lines = [line for line in _LINE_ENDS.sub("\r", text).split("\r") if line.strip(_BLANK)]
    if not lines:
        raise NotHl7("the message is empty")
    delimiters = _delimiters(lines[0].lstrip(_BLANK))
    segments: list[Segment] = []
    for number, line in enumerate(lines):
        parts = line.lstrip(_BLANK).split(delimiters.field)
        if longest is not None:
            parts = [part if len(part) <= longest else _cut(part, longest, delimiters) for part in parts]
        name = parts[0].strip().upper()
        if number == 0:
            parts = [name, delimiters.field, *parts[1:]]
        if len(name) == 3 and name not in _ENVELOPE:
            segments.append(Segment(name, parts, delimiters))
    return Message(segments, *_type(segments))


def _cut(field: str, longest: int, delimiters: Delimiters) -> str:
    """Half an identifier would be another one: what was cut through is left out where others remain."""
    head = field[:longest]
    whole = head.rpartition(delimiters.repetition)[0] if delimiters.repetition else ""
    return whole or head


def _type(segments: list[Segment]) -> tuple[str, str]:
    code, trigger = segments[0].text(9).upper(), segments[0].text(9, 2).upper()
    if trigger:
        return code, trigger
    if re.fullmatch(r"[A-Z]{3}[_^~]?[A-Z]\d\d", code):
        return code[:3], code[-3:]
    event = next((segment for segment in segments if segment.name == "EVN"), None)
    return code, event.text(1).upper() if event is not None else ""


def split_batch(text: str) -> tuple[list[str], bool]:
    """The messages in a frame or file, and whether it is a batch (FHS/BHS) or holds several."""
    messages: list[list[str]] = []
    enveloped = False
    for raw in _LINE_ENDS.sub("\r", text).split("\r"):
        line = raw.lstrip(_BLANK)
        if line.startswith(_ENVELOPE):
            enveloped = True
        elif line.startswith("MSH"):
            messages.append([line])
        elif messages:
            messages[-1].append(line)
        elif line.strip(_BLANK):
            messages.append([line])
    return ["\r".join(lines) + "\r" for lines in messages], enveloped or len(messages) > 1


@lru_cache(maxsize=64)
def _of(field_separator: str, encoding: str) -> Delimiters:
    given = encoding[:4]
    if len(given) < 2:
        return Delimiters(field_separator)
    component, repetition = given[0], given[1]
    # Three characters leave out the subcomponent separator, or the escape when the third is no usual one.
    if len(given) == 3 and given[2] == STANDARD.subcomponent:
        return Delimiters(field_separator, component, repetition, "", given[2])
    escape = given[2] if len(given) > 2 else ""
    subcomponent = given[3] if len(given) > 3 else ""
    return Delimiters(field_separator, component, repetition, escape, subcomponent)


def _delimiters(line: str) -> Delimiters:
    if not line.startswith("MSH") or len(line) < 8:
        raise NotHl7("the message does not begin with an MSH segment")
    separator = line[3]
    if separator.isalnum() or separator.isspace():
        raise NotHl7("MSH-1 is not a field separator")
    encoding = line[4:12].partition(separator)[0]
    if any(character.isalnum() or character.isspace() for character in encoding):
        encoding = ""
    return _of(separator, encoding)


def unescape(text: str, delimiters: Delimiters = STANDARD) -> str:
    r"""Resolve \F\ \S\ \T\ \R\ \E\ \Xdd..\ \.br\; other formatting sequences vanish (chapter 2.7)."""
    mark = delimiters.escape
    if not mark or mark not in text:
        return text
    plain = {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": mark,
        ".br": "\n",
        ".sp": "\n",
        ".ce": "\n",
        "H": "",
        "N": "",
    }
    out: list[str] = []
    position = 0
    while True:
        start = text.find(mark, position)
        end = text.find(mark, start + 1) if start >= 0 else -1
        if start < 0 or end < 0:
            out.append(text[position:])
            return "".join(out)
        out.append(text[position:start])
        sequence = text[start + 1 : end]
        resolved = plain.get(sequence)
        if resolved is None and re.fullmatch(r"X([0-9A-Fa-f]{2})+", sequence):
            resolved = _hexadecimal(sequence[1:])
        if resolved is None and re.fullmatch(r"[.CMZ][A-Za-z0-9+\-]{0,12}", sequence):
            resolved = ""
        if resolved is None:
            # A stray escape character, such as a path with backslashes: kept as it came.
            out.append(mark)
            position = start + 1
        else:
            out.append(resolved)
            position = end + 1


def _hexadecimal(digits: str) -> str:
    data = bytes.fromhex(digits)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def escape(text: str, delimiters: Delimiters = STANDARD) -> str:
    """The reverse, for one component; control characters become blanks."""
    if text.isprintable() and not any(mark in text for mark in _SPECIAL) and delimiters is STANDARD:
        return text
    mark = delimiters.escape
    table = {
        mark: f"{mark}E{mark}",
        delimiters.field: f"{mark}F{mark}",
        delimiters.component: f"{mark}S{mark}",
        delimiters.subcomponent: f"{mark}T{mark}",
        delimiters.repetition: f"{mark}R{mark}",
    }
    return "".join(table.get(c, c if c.isprintable() else " ") for c in text)
