"""Data elements out of bytes: a tolerant reader of explicit and implicit VR data sets (PS3.5 7).

Values are captured while reading; a value over its bound, and pixel data, is left in the file and
known by its offsets alone, so nothing is allocated for a length the file merely claims. What is
wrong and can be put right becomes a Patch, applied when the bytes are copied.
"""

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Any, BinaryIO

from kit.dicom.dictionary import LONG_VRS, SHORT_VRS, VRS, vr_of
from kit.dicom.elements import FRAGMENTS, PIXEL_TAGS, UNDEFINED, Element, Patch, Span
from kit.dicom.errors import BrokenDicom, truncated

BINARY_KEPT = 16 * 1024
"""Longest OB, OW, UN … value captured."""
OTHERS_KEPT = 64 * 1024
MAX_DEPTH = 24
MAX_ELEMENTS = 1_000_000
MAX_ELEMENTS_HELD = 400_000
MAX_FRAGMENTS = 500_000
_WINDOW = 64 * 1024
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

_SHORT = {vr.encode(): vr for vr in SHORT_VRS}
_LONG = {vr.encode(): vr for vr in LONG_VRS}
_VALID = frozenset(vr.encode() for vr in VRS)
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})


@dataclass(frozen=True)
class _Order:
    explicit: Callable[[bytes, int], tuple[Any, ...]]
    implicit: Callable[[bytes, int], tuple[Any, ...]]
    long: Struct
    short: Struct


_LITTLE = _Order(Struct("<HH2sH").unpack_from, Struct("<HHI").unpack_from, Struct("<I"), Struct("<H"))
_BIG = _Order(Struct(">HH2sH").unpack_from, Struct(">HHI").unpack_from, Struct(">I"), Struct(">H"))


class Reader:
    """Reads data sets of one file. With `keep`, outermost sequences other than those tags are passed
    over. `on_item(elements of an item, elements so far around it, items)` stands in for appending the
    item of an outermost sequence to the list of its items, so that long ones need not be held.

    After `dataset()`: `patches` in file order, `troubles` (finding codes), `fragments` of the pixel
    data (the offset table first), `tail` (where trailing bytes that are no data begin; the end of
    the file otherwise).
    """

    def __init__(
        self,
        file: BinaryIO,
        size: int,
        *,
        big: bool = False,
        keep: frozenset[int] | None = None,
        on_item: Callable[[list[Element], list[Element], list[Any]], None] | None = None,
    ) -> None:
        self._file = file
        self.size = size
        self._order = _BIG if big else _LITTLE
        self._keep = keep
        self.on_item = on_item
        self._count = 0
        self._held = 0
        self.buf = b""
        self.base = 0
        self.patches: list[Patch] = []
        self.troubles: set[str] = set()
        self.fragments: list[Span] = []
        self.tail = size

    def fill(self, start: int, need: int, window: int = _WINDOW) -> None:
        """Hold at least [start, start + need), as far as the file goes."""
        self._file.seek(start)
        self.buf = self._file.read(min(max(need, window), max(self.size - start, 0)))
        self.base = start

    def peek(self, start: int, length: int) -> bytes:
        if start < self.base or start + length > self.base + len(self.buf):
            self.fill(start, length)
        return self.buf[start - self.base : start - self.base + length]

    def dataset(self, pos: int, explicit: bool) -> list[Element]:
        """The data set from `pos` to the file's end. Raises BrokenDicom."""
        elements, end = self._elements(pos, self.size, 0, explicit, delimited=False)
        self.tail = end
        return elements

    def _elements(  # noqa: PLR0912, PLR0915 - the hot loop: flat and long on purpose
        self, pos: int, end: int, depth: int, explicit: bool, *, delimited: bool
    ) -> tuple[list[Element], int]:
        unpack = self._order.explicit if explicit else self._order.implicit
        long = self._order.long.unpack_from
        out: list[Element] = []
        append = out.append
        buf, base = self.buf, self.base
        filled = base + len(buf)
        while pos < end:
            if pos + 12 > filled or pos < base:
                if pos + 8 > end:
                    break
                if filled < self.size or pos < base:
                    self.fill(pos, 12)
                    buf, base = self.buf, self.base
                    filled = base + len(buf)
                if len(buf) - (pos - base) < 8:
                    break
                self._guard(out)
            offset = pos - base
            if explicit:
                group, number, code, length = unpack(buf, offset)
                tag = group << 16 | number
                vr = _SHORT.get(code)
                if vr is not None:
                    value = pos + 8
                elif (vr := _LONG.get(code)) is not None:
                    if offset + 12 > len(buf):
                        raise truncated(None)
                    length = long(buf, offset + 8)[0]
                    value = pos + 12
                elif group == 0xFFFE:
                    if tag == _ITEM_END and depth:
                        return self._close(out), pos + 8
                    if depth == 0:
                        self._end(out, tag, code, pos, end)
                        break
                    pos += 8
                    continue
                else:
                    if depth == 0 and self._is_tail(out, tag, code, pos, end):
                        break
                    vr, value, length = self._foreign_header(tag, code, pos, end, offset)
            else:
                group, number, length = unpack(buf, offset)
                tag = group << 16 | number
                value = pos + 8
                if group == 0xFFFE or not tag:
                    if depth == 0:
                        self._end(out, tag, b"", pos, end)
                        break
                    if tag == _ITEM_END:
                        return self._close(out), pos + 8
                    pos += 8
                    continue
                vr = vr_of(tag)
            stop = value + length
            if length == UNDEFINED or vr == "SQ":
                element, pos = self._nested((tag, vr, pos, value, length), end, depth, explicit, out)
                append(element)
                buf, base = self.buf, self.base
                filled = base + len(buf)
                continue
            if stop > end:
                if depth == 0 and self._is_tail(out, tag, b"", pos, end):
                    break
                if depth:
                    raise BrokenDicom(
                        "structure", "The file is damaged inside: a value is longer than what holds it."
                    )
                raise truncated(stop - end)
            if length > BINARY_KEPT and (vr in _BINARY or length > OTHERS_KEPT):
                content: bytes | None = None
            elif depth == 0 and tag in PIXEL_TAGS:
                content = None
            else:
                if stop > filled:
                    self.fill(pos, stop - pos)
                    buf, base = self.buf, self.base
                    filled = base + len(buf)
                content = buf[value - base : stop - base]
            if length & 1:
                fill = self._pad(vr, value, length, explicit)
                content = None if content is None else content + fill
            append((tag, vr, pos, value, stop, content))
            pos = stop
        if delimited:
            raise truncated(None)
        return self._close(out), pos

    def _guard(self, out: list[Element]) -> None:
        if self._held + len(out) > MAX_ELEMENTS_HELD or self._count > MAX_ELEMENTS:
            raise BrokenDicom("too-many-elements", "The file's header is beyond all sensible size.")

    def _close(self, out: list[Element]) -> list[Element]:
        self._count += len(out)
        self._held += len(out)
        self._guard(out[:0])
        return out

    def _end(self, out: list[Element], tag: int, code: bytes, pos: int, end: int) -> None:
        if not self._is_tail(out, tag, code, pos, end):
            raise BrokenDicom("structure", "The file is damaged inside: what follows is not DICOM data.")

    def _is_tail(self, out: list[Element], tag: int, code: bytes, pos: int, end: int) -> bool:
        """Whether what begins here is left-over bytes behind a complete data set rather than data."""
        if not out:
            return False
        if not any(self.peek(pos, min(end - pos, 4096))):
            return True
        if out[-1][0] < 0x7FE00008:
            return False
        return tag <= out[-1][0] or tag >> 16 not in (0x7FE0, 0xFFFA, 0xFFFC) or (code not in (b"", *_VALID))

    def _foreign_header(self, tag: int, code: bytes, pos: int, end: int, offset: int) -> tuple[str, int, int]:
        """An element whose VR field holds no VR we know (PS3.5 6.2): a later VR of the long form, or
        a header of the other kind (implicit in an explicit data set)."""
        length: int
        if code.isalpha() and code.isupper():
            if offset + 12 > len(self.buf):
                raise truncated(None)
            length = self._order.long.unpack_from(self.buf, offset + 8)[0]
            if self.buf[offset + 6 : offset + 8] == b"\0\0" and (
                length == UNDEFINED or pos + 12 + length <= end
            ):
                self.troubles.add("vr-unknown")
                return "UN", pos + 12, length
        length = self._order.long.unpack_from(self.buf, offset + 4)[0]
        vr = vr_of(tag)
        if length == UNDEFINED and vr != "SQ":
            vr = "UN"
        if length != UNDEFINED and pos + 8 + length > end:
            # a blank VR with a length of 16 bits
            length = self._order.short.unpack_from(self.buf, offset + 6)[0]
            if pos + 8 + length > end or not code.isspace():
                raise BrokenDicom("structure", "The file is damaged inside: what follows is not DICOM data.")
        self.troubles.add("vr-missing")
        if vr in LONG_VRS or (length > 0xFFFF and length != UNDEFINED):
            vr = vr if vr in LONG_VRS else "UN"
            header = self.buf[offset : offset + 4] + vr.encode() + b"\0\0" + self._order.long.pack(length)
        else:
            header = self.buf[offset : offset + 4] + vr.encode() + self._order.short.pack(length)
        self.patches.append(Patch(pos, 8, header))
        return vr, pos + 8, length

    def _pad(self, vr: str, value: int, length: int, explicit: bool) -> bytes:
        """Even out an odd length (PS3.5 7.1.1): one byte more, returned, and the length says so."""
        self.troubles.add("odd-length")
        fill = b"\0" if vr in _BINARY or vr == "UI" else b" "
        if explicit and vr in SHORT_VRS:
            if length == 0xFFFF:
                raise BrokenDicom("structure", "The file is damaged inside: a value has an odd length.")
            self._replace(len(self.patches), value - 2, 2, self._order.short.pack(length + 1))
        else:
            self._replace(len(self.patches), value - 4, 4, self._order.long.pack(length + 1))
        self.patches.append(Patch(value + length, 0, fill))
        return fill

    def _nested(
        self,
        head: tuple[int, str, int, int, int],
        end: int,
        depth: int,
        explicit: bool,
        before: list[Element],
    ) -> tuple[Element, int]:
        """A sequence, or an encapsulated value of undefined length."""
        tag, vr, start, value, length = head
        if depth >= MAX_DEPTH:
            raise BrokenDicom("too-deep", "The file's header is nested beyond all sensible depth.")
        if length == UNDEFINED and (vr in ("OB", "OW") or tag in PIXEL_TAGS):
            stop, after = self._fragments(value, end, keep=depth == 0 and tag in PIXEL_TAGS)
            return (tag, vr, start, value, stop, FRAGMENTS), after
        if length != UNDEFINED and value + length > end:
            raise (
                truncated(value + length - end)
                if depth == 0
                else BrokenDicom(
                    "structure", "The file is damaged inside: a sequence is longer than what holds it."
                )
            )
        wanted = depth > 0 or self._keep is None or tag in self._keep
        if length != UNDEFINED and not wanted:
            return (tag, vr, start, value, value + length, None), value + length
        if explicit and vr not in ("SQ", "UN"):
            raise BrokenDicom("structure", "The file is damaged inside: a value has no length.")
        if vr == "UN" and explicit:
            explicit = False  # PS3.5 6.2.2 note 2: such a sequence is implicit VR
        mark = len(self.patches)
        items: list[Any] = []
        stop = self._items(
            value,
            end if length == UNDEFINED else value + length,
            depth,
            explicit,
            length == UNDEFINED,
            items.append if depth else self._taker(items, before, wanted),
        )
        if length != UNDEFINED:
            self._adjust_length(mark, value, length)
        return (tag, "SQ", start, value, stop, items if wanted else None), stop

    def _taker(
        self, items: list[Any], before: list[Element], wanted: bool
    ) -> Callable[[list[Element]], None]:
        on_item = self.on_item
        if not wanted:
            return lambda elements: None
        if on_item is None:
            return items.append
        return lambda elements: on_item(elements, before, items)

    def _items(
        self,
        pos: int,
        end: int,
        depth: int,
        explicit: bool,
        delimited: bool,
        take: Callable[[list[Element]], None],
    ) -> int:
        """Hand the elements of each item to `take`; returns the offset behind the sequence."""
        while pos < end:
            head = self.peek(pos, 8)
            if len(head) < 8:
                break
            group, number, length = self._order.implicit(head, 0)
            tag = group << 16 | number
            if tag == _SEQUENCE_END:
                return pos + 8 if delimited else end
            if tag != _ITEM:
                raise BrokenDicom("structure", "The file is damaged inside: a sequence holds no items.")
            pos += 8
            stop = end if length == UNDEFINED else pos + length
            if stop > end:
                raise (
                    truncated(stop - end)
                    if delimited and depth == 0
                    else BrokenDicom(
                        "structure", "The file is damaged inside: an item is longer than its sequence."
                    )
                )
            self._count += 1
            self._guard([])
            held = self._held
            self._held += 1
            mark = len(self.patches)
            flavour = self._flavour(pos, stop, explicit)
            elements, after = self._elements(pos, stop, depth + 1, flavour, delimited=length == UNDEFINED)
            if length != UNDEFINED:
                self._adjust_length(mark, pos, length)
                after = stop
            take(elements)
            if depth == 0 and (self._keep is not None or self.on_item is not None):
                self._held = held
            pos = after
        if delimited:
            raise truncated(None)
        return end

    def _flavour(self, pos: int, stop: int, explicit: bool) -> bool:
        """Some writers code the items of UN or private sequences the other way: look at the first
        element. Kept as it is, since every reader has to guess alike."""
        head = self.peek(pos, 8) if stop - pos >= 8 else b""
        if len(head) < 8 or self._order.implicit(head, 0)[0] == 0xFFFE:
            return explicit
        group, number, length = self._order.implicit(head, 0)
        code, fits = head[4:6], pos + 8 + length <= stop or length == UNDEFINED
        if explicit:
            turn = code not in _VALID and fits and not (code.isalpha() and code.isupper())
        else:
            turn = code in _VALID and (not fits or code == vr_of(group << 16 | number).encode())
        if turn:
            self.troubles.add("vr-mixed")
        return explicit != turn

    def _adjust_length(self, mark: int, value: int, length: int) -> None:
        """Repairs inside changed the size of what holds them: its length field follows."""
        delta = sum(len(patch.data) - patch.length for patch in self.patches[mark:])
        if delta:
            self._replace(mark, value - 4, 4, self._order.long.pack(length + delta))

    def _replace(self, mark: int, offset: int, length: int, data: bytes) -> None:
        """A length field to change may lie in a header that is itself being replaced."""
        last = self.patches[mark - 1] if mark else None
        if last is not None and last.offset <= offset < last.offset + last.length:
            self.patches[mark - 1] = Patch(last.offset, last.length, last.data[:-length] + data)
        else:
            self.patches.insert(mark, Patch(offset, length, data))

    def _fragments(self, pos: int, end: int, *, keep: bool) -> tuple[int, int]:
        """Walk over items to their sequence delimiter: (its offset, the offset behind it)."""
        while pos + 8 <= end:
            if pos < self.base or pos + 8 > self.base + len(self.buf):
                self.fill(pos, 8, 1024)
            group, number, length = self._order.implicit(self.buf, pos - self.base)
            tag = group << 16 | number
            if tag == _SEQUENCE_END:
                return pos, pos + 8
            if tag != _ITEM or length == UNDEFINED:
                raise BrokenDicom("structure", "The image data is damaged: its fragments do not follow.")
            if pos + 8 + length > end:
                raise truncated(pos + 8 + length - end)
            if length & 1:
                self.troubles.add("odd-length")
                self.patches.append(Patch(pos + 4, 4, self._order.long.pack(length + 1)))
                self.patches.append(Patch(pos + 8 + length, 0, b"\0"))
            if keep:
                self.fragments.append(Span(pos + 8, length))
                if len(self.fragments) > MAX_FRAGMENTS:
                    raise BrokenDicom("structure", "The image data is cut into too many pieces.")
            pos += 8 + length
        if pos != end:
            raise truncated(None)
        self.troubles.add("delimiter-missing")
        self.patches.append(Patch(end, 0, b"\xfe\xff\xdd\xe0\0\0\0\0"))
        return end, end
