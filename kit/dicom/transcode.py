"""One stored instance into an uncompressed transfer syntax, for a destination that takes no other.

Runs in a helper process: pixel decoders are native code fed with foreign bytes. Frames are decoded
one at a time. The image stays the same instance, as lossless decoding requires (PS3.4 B.2); what was
lossy before is still marked so.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from struct import pack
from typing import Any, BinaryIO

from kit.dicom.elements import Element, Span
from kit.dicom.errors import BrokenDicom
from kit.dicom.frames import Frames
from kit.dicom.meta import EXPLICIT, IMPLICIT, NATIVE, build_meta
from kit.dicom.pack import InstanceFile, PackEntry
from kit.dicom.pixels import MAX_FRAME, decode_frame
from kit.dicom.reader import Reader
from kit.dicom.recode import encoded, flat, recode
from kit.objects.port import Objects

_PIXELS = 0x7FE00010
_LEFT_OUT = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00003, 0x00880200})
"""Offset tables of encapsulated data, and icons, which may be encapsulated too (all optional)."""
_MAX_PIXELS = 0xFFFFFFFE


def transcode(objects: Objects, pack_key: str, entry: PackEntry, syntax: str, path: Path) -> PackEntry:
    """Write the instance to `path` as a Part 10 file in Explicit or Implicit VR Little Endian.

    Returns the entry of that file (offset 0; its header JSON and bulk spans are not carried over).
    Raises BrokenDicom("cannot-decode") where there is no decoder or the image is damaged.
    """
    if syntax not in (EXPLICIT, IMPLICIT):
        raise ValueError("only Explicit and Implicit VR Little Endian can be written")
    with BufferedReader(InstanceFile(objects, pack_key, entry)) as source, path.open("wb") as target:
        writer = _Writer(target)
        writer.write(build_meta(entry.sop_class_uid, entry.sop_instance_uid, syntax))
        start = writer.size
        if entry.transfer_syntax in NATIVE or entry.pixel_end == entry.header_end:
            marks = _reencode(source, entry, syntax, writer)
        else:
            marks = _decode(source, entry, syntax, writer)
    return replace(
        entry,
        transfer_syntax=syntax,
        offset=0,
        length=writer.size,
        dataset_offset=start,
        header_end=marks.header_end,
        pixel_end=marks.pixel_end,
        sha256=writer.sha256_from_data(),
        frames=marks.frames,
        bulk=(),
        json=Span(0, 0),
    )


class _Writer:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest: Any = None
        self.size = 0

    def write(self, data: bytes) -> None:
        if self._digest is None:
            self._digest = hashlib.sha256()
        else:
            self._digest.update(data)
        self._file.write(data)
        self.size += len(data)

    def sha256_from_data(self) -> str:
        """Of all that followed the first write (the meta header)."""
        return str(self._digest.hexdigest())


class _Marks:
    def __init__(self, header_end: int, pixel_end: int, frames: Frames) -> None:
        self.header_end = header_end
        self.pixel_end = pixel_end
        self.frames = frames


def _read(source: BinaryIO, start: int, stop: int, explicit: bool, to_explicit: bool) -> list[Element]:
    """The elements of a range; items of outer sequences are encoded at once."""
    same = explicit == to_explicit

    def item(elements: list[Element], around: list[Element], items: list[Any]) -> None:
        signed = _is_signed(around)
        pieces = recode(
            elements, source, explicit=to_explicit, from_implicit=not same and to_explicit, signed=signed
        )
        items.append(encoded(pieces))

    reader = Reader(source, stop, on_item=item)
    elements = reader.dataset(start, explicit)
    if reader.tail != stop:
        raise BrokenDicom("structure", "The stored file is damaged.")
    return elements


def _is_signed(elements: Sequence[Element]) -> bool:
    return any(e[0] == 0x00280103 and e[5][:1] == b"\1" for e in elements)


def _reencode(source: BinaryIO, entry: PackEntry, syntax: str, writer: _Writer) -> _Marks:
    """Native pixel data: the same elements with headers of the other kind."""
    explicit, to_explicit = entry.transfer_syntax != IMPLICIT, syntax != IMPLICIT
    header_end = pixel_end = 0
    frames = entry.frames
    elements = _read(source, entry.dataset_offset, entry.length, explicit, to_explicit)
    signed, from_implicit = _is_signed(elements), not explicit and to_explicit
    for element in elements:
        is_pixels = entry.header_end < entry.pixel_end and element[2] == entry.header_end
        if is_pixels:
            header_end = writer.size
        pieces = recode([element], source, explicit=to_explicit, from_implicit=from_implicit, signed=signed)
        for block in flat(pieces, source):
            writer.write(block)
        if is_pixels:
            pixel_end = writer.size
            frames = replace(frames, offset=pixel_end - (entry.pixel_end - entry.frames.offset))
    return _Marks(header_end or writer.size, pixel_end or writer.size, frames)


def _decode(source: BinaryIO, entry: PackEntry, syntax: str, writer: _Writer) -> _Marks:
    to_explicit = syntax != IMPLICIT
    elements = _read(source, entry.dataset_offset, entry.header_end, True, to_explicit)
    frames = _decoded(source, entry, elements)
    first, properties = next(frames)
    total = len(first) * entry.frames.count
    if total > _MAX_PIXELS:
        raise BrokenDicom(
            "cannot-decode",
            "The image is too large to be sent uncompressed, and the destination takes no other.",
        )
    changed = _with_properties(elements, properties)
    for block in flat(recode(changed, source, explicit=to_explicit), source):
        writer.write(block)
    header_end = writer.size
    allocated = int(properties["bits_allocated"])
    length = total + total % 2
    if to_explicit:
        vr = b"OB" if allocated <= 8 else b"OW"
        writer.write(pack("<HH2sHI", 0x7FE0, 0x10, vr, 0, length))
    else:
        writer.write(pack("<HHI", 0x7FE0, 0x10, length))
    offset = writer.size
    writer.write(first)
    for frame, _ in frames:
        if len(frame) != len(first):
            raise _undecodable()
        writer.write(frame)
    writer.write(b"\0" * (total % 2))
    pixel_end = writer.size
    if entry.pixel_end < entry.length:
        tail = _read(source, entry.pixel_end, entry.length, True, to_explicit)
        for block in flat(recode(tail, source, explicit=to_explicit), source):
            writer.write(block)
    return _Marks(header_end, pixel_end, Frames(entry.frames.count, offset, len(first) * 8))


def _undecodable() -> BrokenDicom:
    return BrokenDicom(
        "cannot-decode", "The image can't be decompressed, and the destination does not take it compressed."
    )


def _decoded(
    source: BinaryIO, entry: PackEntry, elements: Sequence[Element]
) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Each frame's pixels, colour by pixel and as RGB where they were YBR, with what describes them."""
    values = {e[0]: e[5] for e in elements if e[0] >> 16 == 0x28 and isinstance(e[5], bytes)}

    def number(tag: int, default: int) -> int:
        return int.from_bytes(values[tag][:2], "little") if values.get(tag) else default

    allocated = number(0x00280100, 8)
    options: dict[str, Any] = {
        "rows": entry.rows,
        "columns": entry.columns,
        "number_of_frames": 1,
        "samples_per_pixel": number(0x00280002, 1),
        "photometric_interpretation": values.get(0x00280004, b"MONOCHROME2").decode("latin_1").strip(" \0"),
        "bits_allocated": allocated,
        "bits_stored": number(0x00280101, allocated),
        "pixel_representation": number(0x00280103, 0),
        "planar_configuration": number(0x00280006, 0),
        "pixel_keyword": "PixelData",
    }
    if not entry.frames.count or entry.rows * entry.columns * allocated // 8 > MAX_FRAME:
        raise _undecodable()
    for frame in range(entry.frames.count):
        data = b"".join(_range(source, span) for span in entry.frames.spans(frame))
        try:
            array, properties = decode_frame(data, entry.transfer_syntax, options)
        except BrokenDicom:
            raise _undecodable() from None
        yield array.tobytes(), properties


def _range(source: BinaryIO, span: Span) -> bytes:
    if span.length > MAX_FRAME:
        raise _undecodable()
    source.seek(span.offset)
    return source.read(span.length)


def _with_properties(elements: Sequence[Element], properties: dict[str, Any]) -> list[Element]:
    """The header as it describes decoded pixels."""
    values: dict[int, tuple[str, bytes]] = {
        0x00280004: ("CS", str(properties["photometric_interpretation"]).encode()),
        0x00280100: ("US", pack("<H", int(properties["bits_allocated"]))),
    }
    if int(properties["samples_per_pixel"]) > 1:
        values[0x00280006] = ("US", pack("<H", int(properties["planar_configuration"])))
    kept = [e for e in elements if e[0] not in values and e[0] not in _LEFT_OUT]
    kept += [(tag, vr, 0, 0, 0, value) for tag, (vr, value) in values.items()]
    return sorted(kept, key=lambda e: e[0])
