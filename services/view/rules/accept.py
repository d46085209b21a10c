"""Which form of an answer the caller takes (PS3.18 8.7): media types with their transfer syntaxes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from kit.dicom.meta import EXPLICIT, IMPLICIT, NATIVE
from kit.errors import Refused

DICOM, OCTETS, MULTIPART = "application/dicom", "application/octet-stream", "multipart/related"
_JPEG = ("image/jpeg",)
_JLS = ("image/jls", "image/x-jls")
_JP2 = ("image/jp2", "image/jpx")
_JPH = ("image/jphc", "image/jph")
_TREE = "1.2.840.10008.1.2."
MEDIA_BY_SYNTAX: dict[str, tuple[str, ...]] = {
    **{f"{_TREE}4.{number}": _JPEG for number in (50, 51, 57, 70)},
    f"{_TREE}5": ("image/dicom-rle", "image/x-dicom-rle"),
    **{f"{_TREE}4.{number}": _JLS for number in (80, 81)},
    **{f"{_TREE}4.{number}": _JP2 for number in (90, 91)},
    **{f"{_TREE}4.{number}": _JPH for number in (201, 202, 203)},
}
"""Media types of compressed frames, the proper one first (PS3.18 table 8.7.3-5)."""
LOSSY = frozenset(f"{_TREE}4.{number}" for number in (50, 51, 81, 91, 203))
MPEG2 = frozenset(f"{_TREE}4.{number}" for number in ("100", "100.1", "101", "101.1"))
VIDEO = MPEG2 | {
    f"{_TREE}4.{number}"
    for number in (*(f"{n}{part}" for n in range(102, 107) for part in ("", ".1")), "107", "108")
}
DECODABLE = frozenset(MEDIA_BY_SYNTAX)

M = TypeVar("M", bound=str)


class NotAcceptable(Refused):
    """None of the forms the caller takes can be had."""

    status = 406

    def __init__(self, text: str = "This can't be had in any of the forms you accept.") -> None:
        super().__init__("not-acceptable", text)

    def __reduce__(self) -> tuple[type["NotAcceptable"], tuple[str]]:  # type: ignore[override]
        return type(self), (self.text,)


@dataclass(frozen=True)
class MediaRange:
    kind: str
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def part(self) -> str:
        """Media type of the parts of a multipart answer; empty when it does not say."""
        return self.parameters.get("type", "").lower()

    @property
    def syntax(self) -> str | None:
        return self.parameters.get("transfer-syntax")


def ranges(headers: Sequence[str], asked: str = "") -> list[MediaRange]:
    """What is taken, best first; `asked` (the accept parameter of a query) goes before the header."""
    found: list[tuple[float, MediaRange]] = []
    for text in _parts(asked or ",".join(headers), ","):
        kind, *rest = _parts(text, ";")
        parameters: dict[str, str] = {}
        for part in rest:
            name, _, value = part.partition("=")
            parameters[name.strip().lower()] = value.strip().strip('"')
        quality = _quality(parameters.pop("q", "1"))
        if quality > 0:
            found.append((quality, MediaRange(kind.strip().lower(), parameters)))
    if not found and not any(headers):
        return [MediaRange("*/*")]
    return [one for _, one in sorted(found, key=lambda pair: -pair[0])]


def _parts(text: str, mark: str) -> list[str]:
    """Split at `mark` outside quotes."""
    found, quoted, start = [], False, 0
    for place, letter in enumerate(text[:4096]):
        if letter == '"':
            quoted = not quoted
        elif letter == mark and not quoted:
            found.append(text[start:place])
            start = place + 1
    found.append(text[start:4096])
    return [part.strip() for part in found if part.strip()]


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


@dataclass(frozen=True)
class Form:
    """How to answer: as one body or in parts; `syntax` None: each as it is stored."""

    single: bool
    syntax: str | None = None
    media: str = OCTETS


def instance_form(taken: Iterable[MediaRange], stored: Sequence[str]) -> Form:
    """For instances of these stored transfer syntaxes. Raises NotAcceptable."""
    for one in taken:
        if one.kind in ("*/*", "multipart/*"):
            return Form(single=False)
        if one.kind == MULTIPART and one.part in ("", DICOM, "*/*"):
            single = False
        elif one.kind in (DICOM, "application/*") and len(stored) == 1:
            single = True
        else:
            continue
        syntax = _wanted(one.syntax, stored)
        if syntax != "none":
            return Form(single, syntax or None)
    raise NotAcceptable


def _wanted(asked: str | None, stored: Sequence[str]) -> str | Literal["none"]:
    """The syntax to write; empty: as stored; "none": it can't be had. Said nothing, Explicit VR Little
    Endian is meant, except for images that are lossy already (PS3.18 8.7.3.5.2)."""
    if asked == "*":
        return ""
    if asked is None:
        plain = all(syntax == EXPLICIT or not _convertible(syntax) or syntax in LOSSY for syntax in stored)
        return "" if plain else EXPLICIT
    if all(syntax == asked for syntax in stored):
        return ""
    if asked in (EXPLICIT, IMPLICIT) and all(_convertible(syntax) for syntax in stored):
        return asked
    return "none"


def _convertible(syntax: str) -> bool:
    return syntax in NATIVE or syntax in DECODABLE


def frame_form(taken: Iterable[MediaRange], stored: str, count: int) -> Form:
    """For frames. `syntax` EXPLICIT of compressed ones: decode them. Raises NotAcceptable."""
    for one in taken:
        if one.kind in ("*/*", "multipart/*"):
            return Form(single=False, media=stored_media(stored))
        part = one.part if one.kind == MULTIPART else one.kind
        if one.kind != MULTIPART and count != 1:
            continue
        form = _frame_part(part, one.syntax, stored, single=one.kind != MULTIPART)
        if form is not None:
            return form
    raise NotAcceptable


def _frame_part(part: str, asked: str | None, stored: str, *, single: bool) -> Form | None:
    native = stored in NATIVE
    if part in ("", OCTETS, "application/*", "*/*"):
        if asked in ("*", stored) or (native and asked in (None, EXPLICIT)):
            return Form(single, media=stored_media(stored))
        if asked in (None, EXPLICIT) and stored in DECODABLE:
            return Form(single, EXPLICIT, stored_media(EXPLICIT))
        return Form(single, media=stored_media(stored)) if asked is None else None
    known = MEDIA_BY_SYNTAX.get(stored, ())
    if (part in known or (part == "image/*" and known)) and asked in (None, "*", stored):
        name = known[0] if part == "image/*" else part
        return Form(single, media=f"{name}; transfer-syntax={stored}")
    return None


def stored_media(transfer_syntax: str) -> str:
    """How frames of that transfer syntax are announced. Native ones are Explicit VR Little Endian."""
    return f"{OCTETS}; transfer-syntax={EXPLICIT if transfer_syntax in NATIVE else transfer_syntax}"


def first_of(taken: Iterable[MediaRange], offered: Sequence[M]) -> M | None:
    """The first of the offered media types that is taken; wildcards take the first offered."""
    for one in taken:
        for media in offered:
            if one.kind in (media, media.partition("/")[0] + "/*", "*/*"):
                return media
    return None
