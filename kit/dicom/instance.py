"""One DICOM file, read once: what it is, whose it is, its header as JSON, where its frames lie, and
the bytes to store. Pixel data is neither decoded nor held.

Tolerant by purpose: what the standard allows to put right is put right and said in a finding.
The bytes to store are a Part 10 file made of untouched ranges of the source and few rewritten ones.
"""

import tempfile
import weakref
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import BinaryIO

from kit.dicom.dicomdir import DICOMDIR
from kit.dicom.elements import PIXEL_TAGS, Element, Patch, Span
from kit.dicom.errors import BrokenDicom, IsDicomdir, NotDicom, truncated
from kit.dicom.findings import NEEDS_PERSON, finding
from kit.dicom.frames import Frames, Geometry, encapsulated_frames, native_frames
from kit.dicom.header import Uids, is_uid, study_fields
from kit.dicom.headerjson import HeaderJson
from kit.dicom.layout import Layout, Piece, right_group_lengths
from kit.dicom.meta import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, NATIVE, build_meta, read_meta
from kit.dicom.preamble import Syntax, dataset_start, guess_syntax, preamble_kind
from kit.dicom.reader import MAX_FRAGMENTS, Reader
from kit.dicom.recode import flat, inflate, recode
from schemas.shapes import Demographics, Finding

__all__ = ["BrokenDicom", "Frames", "Instance", "IsDicomdir", "NotDicom", "Span", "read_instance"]

_WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
_EXTENDED_TABLE = (0x7FE00001, 0x7FE00002)
_HEAD = 256


@dataclass(frozen=True)
class Instance:
    """Texts are decoded. `pieces` joined are the Part 10 file to store; their spans are ranges of the
    file read or, where it had to be converted, of `source`.

    `dataset_offset`, `header_end` and `pixel_end` (where the pixel data element begins and what follows
    it does; both the end where there is none), `frames` and `bulk` count from the first byte of that
    stored file. `json` is the header in the DICOM JSON model (PS3.18 F) without pixel data; a value too
    large for it reads `bulkdata/<n>`, its bytes are `bulk[n]`."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax: str
    patient: Demographics
    accession_number: str
    study_date: str
    study_time: str
    study_description: str
    study_id: str
    referring_physician: str
    modality: str
    series_number: str
    series_description: str
    body_part: str
    instance_number: str
    rows: int
    columns: int
    findings: tuple[Finding, ...]
    needs_person: bool
    json: bytes
    pieces: tuple[Piece, ...]
    size: int
    dataset_offset: int
    header_end: int
    pixel_end: int
    frames: Frames
    bulk: tuple[Span, ...]
    source: BinaryIO | None = None


def read_instance(file: BinaryIO, size: int) -> Instance:
    """Read one file of `size` bytes from its beginning (the file is seekable).

    Raises NotDicom (IsDicomdir for a media directory) and BrokenDicom, which says why in plain words.
    """
    return _Reading(file, size).instance()


class _Reading:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file = file
        self.size = size
        self.codes: dict[str, None] = {}
        self.reader = Reader(file, size)
        head = self.reader.peek(0, min(_HEAD, size))
        start = dataset_start(head)
        if start is None:
            raise NotDicom("not a DICOM file")
        self.start = start
        self.meta = read_meta(self.reader, start, size)
        if self.meta.sop_class_uid == DICOMDIR:
            raise IsDicomdir("a DICOM media directory")
        self.preamble = head[:128] if start >= 128 else b""
        if start != 132:
            self.note("preamble-missing")

    def note(self, *codes: str) -> None:
        self.codes.update(dict.fromkeys(codes))

    def instance(self) -> Instance:
        syntax, flavour = self._syntax()
        if syntax == DEFLATED:
            self.note("deflated")
            return self._converted(inflate(self.file, self.meta.end, self.size))
        if flavour == "big":
            self.note("big-endian")
            reader = Reader(self.file, self.size, big=True)
            elements = reader.dataset(self.meta.end, explicit=True)
            return self._converted(flat(recode(elements, self.file, explicit=True, swap=True), self.file))
        return self._little(syntax, flavour == "explicit")

    def _syntax(self) -> tuple[str, Syntax]:
        """The transfer syntax and how the data set's elements are in fact encoded."""
        syntax = self.meta.transfer_syntax
        if not is_uid(syntax):
            syntax = ""
        if syntax == DEFLATED:
            return syntax, "explicit"
        pos = self.meta.end
        if pos >= self.size:
            raise truncated(None)
        seen = guess_syntax(self.reader.peek(pos, min(8, self.size - pos)))
        if seen is None:
            raise BrokenDicom("structure", "The file is damaged: no DICOM data follow its first bytes.")
        natural = {"explicit": EXPLICIT, "implicit": IMPLICIT, "big": BIG_ENDIAN}[seen]
        if not syntax:
            self.note("syntax-guessed")
            return natural, seen
        said: Syntax = "implicit" if syntax == IMPLICIT else "big" if syntax == BIG_ENDIAN else "explicit"
        if said != seen:
            self.note("syntax-wrong")
            if syntax in NATIVE or seen == "big":
                return natural, seen
        return syntax, seen

    def _converted(self, dataset: Iterable[bytes], syntax: str = EXPLICIT) -> Instance:
        """Written anew as Explicit VR Little Endian into an unnamed temporary file, and read there."""
        target = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the instance
        try:
            known = [_text_uid(uid) for uid in (self.meta.sop_class_uid, self.meta.sop_instance_uid)]
            target.write(build_meta(known[0], known[1], syntax, self.meta.values.get(0x16, b"")))
            for block in dataset:
                target.write(block)
            reading = _Reading(target, target.tell())
            reading.note(*self.codes)
            reading.preamble = self.preamble
            instance = reading.instance()
        except BaseException:
            target.close()
            raise
        if instance.source is not None:  # converted once more
            target.close()
            return instance
        instance = replace(instance, source=target)
        weakref.finalize(instance, target.close)
        return instance

    def _little(self, syntax: str, explicit: bool) -> Instance:
        model = HeaderJson(explicit=explicit)
        self.reader.on_item = model.item
        elements = self.reader.dataset(self.meta.end, explicit)
        if not elements:
            raise truncated(None)
        tags = [e[0] for e in elements]
        if tags != sorted(set(tags)):
            return self._in_order(syntax, explicit)
        pixels = next((e for e in reversed(elements) if e[0] in PIXEL_TAGS), None)
        encapsulated = pixels is not None and bool(self.reader.fragments)
        if encapsulated and not explicit:
            # encapsulated pixel data belongs in an explicit VR data set (PS3.5 A.4)
            plain = Reader(self.file, self.size).dataset(self.meta.end, explicit=False)
            whole = recode(plain, self.file, explicit=True, from_implicit=True)
            return self._converted(flat(whole, self.file), syntax)
        if self.reader.tail < self.size:
            self.note("trailing-bytes")
        elements = self._without_strays(elements)
        header = model.dataset(elements)
        geometry = Geometry.of(header)
        if pixels is None and geometry.bits(0):
            self.note("pixel-data-missing")
        if pixels is not None and encapsulated == (syntax in NATIVE):
            length = pixels[4] - pixels[3]
            if encapsulated or not 0 <= length - geometry.bytes <= 1:
                self.note("frames-unclear")
            else:
                self.note("syntax-wrong")
                syntax = EXPLICIT
        if not explicit and syntax != IMPLICIT:
            self.note("syntax-wrong")
            syntax = IMPLICIT
        uids = Uids(header, elements, self.meta, self.reader.patches, explicit)
        if "uid-from-meta" in uids.codes:
            header = dict(sorted(header.items()))
        self.note(*uids.codes, *sorted(self.reader.troubles | model.troubles))
        if right_group_lengths(elements, self.reader.patches, self.reader.tail):
            self.note("group-length")
        layout = Layout(self._beginning(uids, syntax), self.reader.patches, self.meta.end, self.reader.tail)
        frames = self._frames(geometry, elements, pixels, layout) if pixels is not None else Frames()
        return Instance(
            **study_fields(header),
            sop_class_uid=uids.sop_class,
            sop_instance_uid=uids.sop_instance,
            study_instance_uid=uids.study,
            series_instance_uid=uids.series,
            transfer_syntax=syntax,
            rows=geometry.rows,
            columns=geometry.columns,
            findings=tuple(finding(code) for code in self.codes),
            needs_person=not NEEDS_PERSON.isdisjoint(self.codes),
            json=model.dumps(header),
            pieces=layout.pieces,
            size=layout.size,
            dataset_offset=layout.dataset_offset,
            header_end=layout.stored(pixels[2]) if pixels is not None else layout.size,
            pixel_end=layout.stored(_next_start(elements, pixels, self.reader.tail)),
            frames=frames,
            bulk=tuple(Span(layout.stored(s.offset), s.length) for s in model.bulk),
        )

    def _in_order(self, syntax: str, explicit: bool) -> Instance:
        """Elements stand in ascending order, each once (PS3.5 7.1): of several, readers disagree which
        counts, and who the patient is must not depend on the reader. The first is kept."""
        first: dict[int, Element] = {}
        elements = Reader(self.file, self.size).dataset(self.meta.end, explicit)
        for element in elements:
            first.setdefault(element[0], element)
        self.note("elements-disordered" if len(first) == len(elements) else "elements-repeated")
        ordered = [first[tag] for tag in sorted(first)]
        return self._converted(flat(recode(ordered, self.file, explicit=explicit), self.file), syntax)

    def _without_strays(self, elements: list[Element]) -> list[Element]:
        """Command, meta and directory elements have no place in a data set (PS3.5 7.1). It is in order:
        they are its first."""
        count = bisect_left(elements, 0x00080000, key=lambda element: element[0])
        if not count:
            return elements
        self.note("stray-elements")
        start = elements[0][2]
        end = elements[count][2] if count < len(elements) else self.reader.tail
        patches = [p for p in self.reader.patches if not start <= p.offset < end]
        self.reader.patches = [Patch(start, end - start, b""), *patches]
        return elements[count:]

    def _beginning(self, uids: Uids, syntax: str) -> bytes | None:
        """Preamble, prefix and meta header to write instead of the source's; None keeps those."""
        kind = preamble_kind(self.preamble)
        keep_preamble = kind == "empty" or (kind == "tiff" and uids.sop_class.startswith(_WHOLE_SLIDE))
        if not keep_preamble:
            self.note(
                {"program": "preamble-executable", "tiff": "preamble-tiff"}.get(kind, "preamble-cleared")
            )
        meta = self.meta
        right = (
            self.start == 132
            and meta.length_right
            and meta.transfer_syntax == syntax
            and meta.sop_class_uid == uids.sop_class
            and meta.sop_instance_uid == uids.sop_instance
        )
        if right and keep_preamble:
            return None
        if right:
            return b"\0" * 128 + self.reader.peek(128, meta.end - 128)
        if meta.values:
            self.note("meta-rebuilt")
        built = build_meta(uids.sop_class, uids.sop_instance, syntax, meta.values.get(0x16, b""))
        return self.preamble + built[128:] if keep_preamble and len(self.preamble) == 128 else built

    def _frames(self, geometry: Geometry, elements: list[Element], pixels: Element, layout: Layout) -> Frames:
        fragments = self.reader.fragments
        if not fragments:
            frames, whole = native_frames(
                layout.stored(pixels[3]), pixels[4] - pixels[3], geometry.bits(pixels[0]), geometry.frames
            )
            if not whole:
                self.note("pixel-data-short")
            return frames
        if geometry.frames > len(fragments):
            self.note("frames-unclear")
            return Frames()
        by_tag = {e[0]: e for e in elements if e[0] in _EXTENDED_TABLE}
        extended = None
        if len(by_tag) == 2:
            extended = (self._value(by_tag[_EXTENDED_TABLE[0]]), self._value(by_tag[_EXTENDED_TABLE[1]]))
        table = self.reader.peek(fragments[0].offset, min(fragments[0].length, 4 * MAX_FRAGMENTS))
        frames, clear = encapsulated_frames(
            fragments,
            geometry.frames,
            table,
            extended,
            lambda span: self.reader.peek(span.offset, min(3, span.length)),
            layout.stored,
        )
        if not clear:
            self.note("frames-unclear")
        return frames

    def _value(self, element: Element) -> bytes:
        value: bytes | None = element[5]
        if value is None:
            value = self.reader.peek(element[3], min(element[4] - element[3], 8 * MAX_FRAGMENTS))
        return value


def _next_start(elements: list[Element], element: Element | None, end: int) -> int:
    return next((e[2] for e in elements if element is not None and e[2] > element[2]), end)


def _text_uid(uid: str) -> str:
    return uid if uid.isascii() else ""
