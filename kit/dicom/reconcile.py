"""The hospital's identity into the header of a stored instance, while it streams (IHE RAD-61).

A pure function of stored bytes and decision: the same decision gives the same bytes. Pixel data and
every attribute that is not coerced stay byte for byte, unless the character set must change: then
all text is encoded anew as UTF-8, nested sequences included.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from struct import pack
from typing import Any, BinaryIO

from kit.dicom.characters import Text
from kit.dicom.coercion import (
    COERCED,
    ORIGINALS,
    SEQUENCES,
    Change,
    New,
    coerced,
    element,
    record,
    strings,
)
from kit.dicom.dictionary import TEXT_VRS
from kit.dicom.elements import UNDEFINED, Element, Span
from kit.dicom.errors import BrokenDicom
from kit.dicom.meta import IMPLICIT
from kit.dicom.pack import PackEntry
from kit.dicom.reader import Reader
from kit.dicom.recode import ITEM, ITEM_END, SEQUENCE_END, encoded, recode, sequence_header
from schemas.shapes import Demographics, Order

_CHARSET = 0x00080005
_MAX_TEXT = 64 * 1024 * 1024
_UTF8 = "ISO_IR 192"


def reconcile(
    file: BinaryIO,
    entry: PackEntry,
    *,
    target: Demographics | None,
    order: Order | None,
    decided_at: datetime,
    source: str,
    modifying_system: str,
) -> list[bytes | Span]:
    """The data set to send: bytes, and spans of the stored instance (from its first byte).

    `file` reads the stored instance; no more than its first `entry.header_end` bytes and, where it
    is not the end, those from `entry.pixel_end` on are read, so BytesIO(head) is often enough.
    `target` None: as it came. `source` goes into Source of Previous Values, `modifying_system` into
    Modifying System, `decided_at` into Attribute Modification DateTime.
    """
    if target is None:
        return [Span(entry.dataset_offset, entry.length - entry.dataset_offset)]
    change = Change(target, order, decided_at, source, modifying_system)
    explicit = entry.transfer_syntax != IMPLICIT
    elements = _read_all(Reader(file, entry.header_end, keep=SEQUENCES), entry.dataset_offset, explicit)
    old = {e[0]: e for e in elements if e[0] in COERCED}
    text = Text(_terms(elements))
    new = coerced(old, text, change)
    if not new:
        return [Span(entry.dataset_offset, entry.length - entry.dataset_offset)]
    written = [
        *(value for values in new.values() for value in strings(values)),
        source[:64],
        modifying_system[:64],
    ]
    if all(text.can_encode(value) for value in written):
        return _spliced(file, entry, elements, _edits(old, new, text, change), explicit)
    return _in_utf8(file, entry, new, change, explicit)


def _edits(
    old: Mapping[int, Element], new: Mapping[int, New], text: Text, change: Change
) -> dict[int, Element | None]:
    """By tag: the element to write, None to leave it out. ORIGINALS stands for the item to append."""
    edits: dict[int, Element | None] = {
        tag: None if value is None else element(tag, value, text) for tag, value in new.items()
    }
    edits[ORIGINALS] = (ORIGINALS, "SQ", 0, 0, 0, [record(old, new, text, change)])
    return edits


def _spliced(
    file: BinaryIO,
    entry: PackEntry,
    elements: Sequence[Element],
    edits: dict[int, Element | None],
    explicit: bool,
) -> list[bytes | Span]:
    """The stored header with elements replaced, put in and left out; all else is spans."""
    out = _Pieces()
    pos = entry.dataset_offset
    groups = {tag >> 16 for tag in edits}
    present = {element[0] for element in elements}
    missing = sorted(tag for tag in edits if tag not in present)
    waiting = [edit for tag in missing if (edit := edits[tag]) is not None]
    for current in elements:
        tag, _, start, _, stop, _ = current
        while waiting and waiting[0][0] < tag:
            out.span(pos, start)
            pos = start
            out.pieces(recode([waiting.pop(0)], file, explicit=explicit))
        if tag in edits:
            edit = edits[tag]
            out.span(pos, start)
            pos = stop
            if tag == ORIGINALS and edit is not None:
                out.pieces(_appended(file, current, edit, explicit))
            elif edit is not None:
                out.pieces(recode([edit], file, explicit=explicit))
        elif tag & 0xFFFF == 0 and tag >> 16 in groups:
            out.span(pos, start)  # a retired group length that would no longer be true
            pos = stop
    out.span(pos, entry.header_end)
    out.pieces(recode(waiting, file, explicit=explicit))
    out.span(entry.header_end, entry.length)
    return out.done()


def _appended(file: BinaryIO, current: Element, added: Element, explicit: bool) -> list[bytes | Span]:
    """The sequence there is, its items untouched, with one more item."""
    tag, vr, _, value, stop, _ = current
    if vr == "UN":
        both = (*added[:5], [*_items_of_un(file, current), *added[5]])
        return list(recode([both], file, explicit=explicit))
    file.seek(value - 4)
    undefined = int.from_bytes(file.read(4), "little") == UNDEFINED
    end = stop - 8 if undefined else stop
    items = [ITEM, *recode(added[5][0], file, explicit=explicit), ITEM_END]
    return [sequence_header(tag, explicit), Span(value, end - value), *items, SEQUENCE_END]


def _items_of_un(file: BinaryIO, element: Element) -> list[list[Element]]:
    """A sequence that a system in between did not know and passed on as UN: implicit VR (PS3.5 6.2.2)."""
    tag, _, _, start, stop, value = element
    data = _read(file, start, stop - start) if value is None else value
    whole = pack("<HHI", tag >> 16, tag & 0xFFFF, len(data)) + data
    items: list[list[Element]] = Reader(BytesIO(whole), len(whole)).dataset(0, explicit=False)[0][5]
    return items


def _in_utf8(
    file: BinaryIO, entry: PackEntry, new: Mapping[int, New], change: Change, explicit: bool
) -> list[bytes | Span]:
    """The whole data set written anew with all its text in UTF-8; pixel data stays a span."""

    def item(elements: list[Element], around: list[Element], items: list[Any]) -> None:
        changed = _texts_in_utf8(file, elements, Text(_terms(around)))
        items.append(encoded(recode(changed, file, explicit=explicit)))

    head = _read_all(Reader(file, entry.header_end, on_item=item), entry.dataset_offset, explicit)
    text = Text(_terms(head))
    head = _texts_in_utf8(file, head, text)
    old = {e[0]: e for e in head if e[0] in COERCED}
    edits = _edits(old, new, Text((_UTF8,)), change)
    edits[_CHARSET] = (_CHARSET, "CS", 0, 0, 0, _UTF8.encode())
    originals = next((e for e in head if e[0] == ORIGINALS), None)
    record_of = edits[ORIGINALS]
    if originals is not None and record_of is not None:
        earlier = _items_of_un(file, originals) if originals[1] == "UN" else originals[5]
        edits[ORIGINALS] = (*record_of[:5], [*earlier, *record_of[5]])
    kept = [e for e in head if e[0] not in edits] + [e for e in edits.values() if e is not None]
    out = _Pieces()
    out.pieces(recode(sorted(kept, key=lambda e: e[0]), file, explicit=explicit))
    out.span(entry.header_end, entry.pixel_end)
    if entry.pixel_end < entry.length:
        tail = _read_all(Reader(file, entry.length, on_item=item), entry.pixel_end, explicit)
        out.pieces(recode(_texts_in_utf8(file, tail, text), file, explicit=explicit))
    return out.done()


def _read_all(reader: Reader, start: int, explicit: bool) -> list[Element]:
    """Raises BrokenDicom also where the reader would leave something out."""
    elements = reader.dataset(start, explicit)
    if reader.tail != reader.size:
        raise BrokenDicom("structure", "The stored file is damaged.")
    return elements


def _texts_in_utf8(file: BinaryIO, elements: Sequence[Element], around: Text) -> list[Element]:
    """The same elements with their text as UTF-8; items done already (tuples) are left alone."""
    text = around
    out: list[Element] = []
    for current in elements:
        tag, vr, start, begin, stop, value = current
        if tag == _CHARSET and value:
            text = Text(_terms([current]))
            out.append((tag, vr, start, begin, stop, _UTF8.encode()))
        elif vr == "SQ" and value:
            items = [item if isinstance(item, tuple) else _texts_in_utf8(file, item, text) for item in value]
            out.append((tag, vr, start, begin, stop, items))
        elif vr in TEXT_VRS and stop > begin:
            data = _read(file, begin, stop - begin) if value is None else value
            if text.escapes or not data.isascii():
                data = text.decode(data).encode()
            out.append((tag, vr, start, begin, stop, data))
        else:
            out.append(current)
    return out


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    if length > _MAX_TEXT:
        raise BrokenDicom("text-too-long", "A text in the file is too long to be put into another alphabet.")
    file.seek(start)
    return file.read(length)


def _terms(elements: Sequence[Element]) -> tuple[str, ...]:
    """Of a data set in order, as stored ones are."""
    for tag, _, _, _, _, value in elements:
        if tag > _CHARSET:
            break
        if tag == _CHARSET and value:
            return tuple(value.decode("latin_1").strip(" \0").split("\\"))
    return ()


class _Pieces:
    """Collects pieces; neighbouring bytes and spans grow together."""

    def __init__(self) -> None:
        self._out: list[bytes | Span] = []
        self._bytes: list[bytes] = []

    def span(self, start: int, stop: int) -> None:
        if stop <= start:
            return
        self._flush()
        last = self._out[-1] if self._out else None
        if isinstance(last, Span) and last.offset + last.length == start:
            self._out[-1] = Span(last.offset, stop - last.offset)
        else:
            self._out.append(Span(start, stop - start))

    def pieces(self, pieces: Iterable[bytes | Span]) -> None:
        for piece in pieces:
            if isinstance(piece, bytes):
                self._bytes.append(piece)
            else:
                self.span(piece.offset, piece.offset + piece.length)

    def _flush(self) -> None:
        if self._bytes:
            self._out.append(b"".join(self._bytes))
            self._bytes = []

    def done(self) -> list[bytes | Span]:
        self._flush()
        return self._out
