"""Which attributes reconciliation changes, and to what (IHE RAD TF-3 4.61, Import Reconciliation).

Patient name, ID with issuer, birth date, sex; accession number with issuer, requested procedure and
request attributes. UIDs, Study ID and everything the acquisition wrote stay. Without an order the
sender's accession number and request are taken out: here they would name somebody else's.
What the hospital does not know (an empty target value) stays as the sender wrote it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kit.dicom.characters import Text
from kit.dicom.elements import Element
from schemas.shapes import Demographics, Order

NAME, PATIENT_ID, ISSUER, ISSUER_QUALIFIERS = 0x00100010, 0x00100020, 0x00100021, 0x00100024
BIRTH_DATE, SEX = 0x00100030, 0x00100040
ACCESSION, ACCESSION_ISSUER = 0x00080050, 0x00080051
PROCEDURE_ID, PROCEDURE_TEXT, REQUESTS = 0x00401001, 0x00321060, 0x00400275
ORIGINALS = 0x04000561
COERCED = frozenset(
    {NAME, PATIENT_ID, ISSUER, ISSUER_QUALIFIERS, BIRTH_DATE, SEX, ACCESSION, ACCESSION_ISSUER}
    | {PROCEDURE_ID, PROCEDURE_TEXT, REQUESTS}
)
SEQUENCES = frozenset({ISSUER_QUALIFIERS, ACCESSION_ISSUER, REQUESTS})
_VRS = {NAME: "PN", PATIENT_ID: "LO", ISSUER: "LO", ISSUER_QUALIFIERS: "SQ", BIRTH_DATE: "DA", SEX: "CS"}
_VRS |= {ACCESSION: "SH", ACCESSION_ISSUER: "SQ", PROCEDURE_ID: "SH", PROCEDURE_TEXT: "LO", REQUESTS: "SQ"}

New = str | list[dict[int, tuple[str, Any]]] | None
"""A new value: text, the items of a sequence (VR and value by tag), or None: to be removed."""


@dataclass(frozen=True)
class Change:
    """One decision, as far as headers are concerned. `source` is where the previous values came from,
    `system` who changes them."""

    target: Demographics
    order: Order | None
    decided_at: datetime
    source: str
    system: str


def coerced(old: Mapping[int, Element], text: Text, change: Change) -> dict[int, New]:
    """New values by tag, of those alone that differ from the old ones."""
    return {tag: new for tag, new in _wanted(old, change).items() if _differs(old.get(tag), new, text)}


def _wanted(old: Mapping[int, Element], change: Change) -> dict[int, New]:
    target, order = change.target, change.order
    wanted: dict[int, New] = {}
    for tag, value in (
        (NAME, target.name),
        (BIRTH_DATE, target.birth_date),
        (SEX, target.sex),
    ):
        if value:
            wanted[tag] = value
    if target.patient_id:
        namespace, universal, kind = _authority(target.issuer)
        wanted[PATIENT_ID] = target.patient_id
        wanted[ISSUER] = namespace or universal or None
        wanted[ISSUER_QUALIFIERS] = (
            [{0x00400032: ("UT", universal), 0x00400033: ("CS", kind)}] if universal else None
        )
    if order is not None and order.accession_number:
        wanted[ACCESSION] = order.accession_number
        wanted[ACCESSION_ISSUER] = _issuer_items(order.accession_issuer)
    else:
        wanted[ACCESSION] = ""
        wanted[ACCESSION_ISSUER] = None
    wanted[REQUESTS] = _request(order)
    for tag, value in (
        (PROCEDURE_ID, order.requested_procedure_id if order else ""),
        (PROCEDURE_TEXT, order.requested_procedure_description if order else ""),
    ):
        if tag in old:
            wanted[tag] = value or None
    return wanted


def _authority(issuer: str) -> tuple[str, str, str]:
    """Namespace, universal ID and its type of an HL7 v2 hierarchic designator (HD)."""
    parts = [*issuer.replace("^", "&").split("&"), "", ""]
    return parts[0].strip(), parts[1].strip(), (parts[2].strip() or "ISO") if parts[1].strip() else ""


def _issuer_items(issuer: str) -> New:
    namespace, universal, kind = _authority(issuer)
    item: dict[int, tuple[str, Any]] = {}
    if namespace:
        item[0x00400031] = ("UT", namespace)
    if universal:
        item[0x00400032] = ("UT", universal)
        item[0x00400033] = ("CS", kind)
    return [item] if item else None


def _request(order: Order | None) -> New:
    """Request Attributes Sequence, one item (PS3.3 table 10-9)."""
    if order is None:
        return None
    item: dict[int, tuple[str, Any]] = {
        tag: (vr, value)
        for tag, vr, value in (
            (ACCESSION, "SH", order.accession_number),
            (ACCESSION_ISSUER, "SQ", _issuer_items(order.accession_issuer)),
            (PROCEDURE_TEXT, "LO", order.requested_procedure_description),
            (0x00400007, "LO", order.scheduled_step_description),
            (0x00400009, "SH", order.scheduled_step_id),
            (PROCEDURE_ID, "SH", order.requested_procedure_id),
        )
        if value
    }
    return [item] if item else None


def _differs(old: Element | None, new: New, text: Text) -> bool:
    if old is None:
        return new is not None
    if new is None:
        return True
    value = old[5]
    if isinstance(new, str):
        if not isinstance(value, bytes):
            return True
        return (text.decode(value) if old[1] in ("LO", "PN", "SH") else value.decode("latin_1")).strip(
            " \0"
        ) != new
    return not isinstance(value, list) or [_plain(item, text) for item in value] != [
        _texts(item) for item in new
    ]


def _plain(item: Iterable[Element], text: Text) -> Any:
    """An old item in the form of a new one, its values decoded."""
    if isinstance(item, tuple):
        return None
    return {
        tag: (vr, [_plain(inner, text) for inner in value])
        if vr == "SQ"
        else (vr, text.decode(value or b"").strip(" \0"))
        for tag, vr, _, _, _, value in item
    }


def _texts(item: Mapping[int, tuple[str, Any]]) -> Any:
    return {
        tag: (vr, [_texts(inner) for inner in value] if vr == "SQ" else value)
        for tag, (vr, value) in item.items()
    }


def strings(new: New) -> Iterable[str]:
    """All texts of a new value."""
    if isinstance(new, str):
        yield new
    elif new is not None:
        for item in new:
            for _, value in item.values():
                yield from strings(value)


def element(tag: int, new: New, text: Text, vr: str = "") -> Element:
    """A new element in the encoding of `text`; offsets mean nothing."""
    vr = vr or _VRS[tag]
    if isinstance(new, str):
        return (tag, vr, 0, 0, 0, text.encode(new))
    items = [
        [element(inner, value, text, kind) for inner, (kind, value) in sorted(item.items())]
        for item in new or []
    ]
    return (tag, vr, 0, 0, 0, items)


def record(old: Mapping[int, Element], changed: Iterable[int], text: Text, change: Change) -> list[Element]:
    """An item of the Original Attributes Sequence (PS3.3 C.12.1.1.9.1): the values before. What was
    absent or empty is there with no value."""
    before: list[Element] = []
    for tag in sorted(changed):
        known = old.get(tag)
        if known is None or not known[5]:
            vr = known[1] if known else _VRS[tag]
            before.append((tag, vr, 0, 0, 0, [] if vr == "SQ" else b""))
        else:
            before.append(known)
    when = change.decided_at.astimezone(UTC).strftime("%Y%m%d%H%M%S.%f+0000")
    return [
        (0x04000550, "SQ", 0, 0, 0, [before]),
        (0x04000562, "DT", 0, 0, 0, when.encode()),
        (0x04000563, "LO", 0, 0, 0, text.encode(change.system[:64])),
        (0x04000564, "LO", 0, 0, 0, text.encode(change.source[:64])),
        (0x04000565, "CS", 0, 0, 0, b"COERCE"),
    ]
